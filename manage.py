#!/usr/bin/env python
"""Django's commands and our own: ``manage.py help`` lists them."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["up"]:
        from eci.watch import metrics_folder

        metrics_folder.begin()  # before Django loads database backends, which count there with ECI_DB_METRICS
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
