"""An app so that Django finds its commands and admin pages. Its table is one of the app ``staff``."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "config.operations"
    label = "operations"

    def ready(self) -> None:
        from config.operations import checks  # noqa: F401 - registers them
