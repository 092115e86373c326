#!/usr/bin/env python
"""Django's commands and our own: ``manage.py help`` lists them."""

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] in (["up"], ["services"]) and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        # Until these handle Ctrl-C themselves it ends them at once: an exception can get lost while modules are loaded.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["up"]:
        from eci.watch import metrics_folder

        metrics_folder.begin()  # before Django loads database backends, which count there with ECI_DB_METRICS
    from config import elsewhere, output, unfinished

    output.begin()

    folder = Path(os.environ.get("ECI_DATA_DIR") or Path(__file__).resolve().parent / "var").absolute()
    for ask in (elsewhere.problem, unfinished.problem, elsewhere.missing):
        if problem := ask(sys.argv[1:], folder=folder):
            sys.exit(problem)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    name = [word.replace("-", "_") for word in sys.argv[1:2] if not word.startswith("-")]  # verify-ledger is meant too
    try:
        execute_from_command_line([sys.argv[0], *(name or sys.argv[1:2]), *sys.argv[2:]])
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.stderr.write(f"manage.py {' '.join(name)} was interrupted before it was done.\n")
        sys.exit(128 + signal.SIGINT)
    output.end()
