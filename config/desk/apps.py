"""An app so that Django finds its templates and files."""

from django.apps import AppConfig


class DeskConfig(AppConfig):
    name = "config.desk"
    label = "desk"
