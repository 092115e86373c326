"""The app ``staff``: its label owns the tables and migrations of books and operations too."""

from django.apps import AppConfig


class StaffConfig(AppConfig):
    """Staff's accounts and pages; the label under which all rooms of config keep their tables."""

    name = "config.staff"
    label = "staff"

    def ready(self) -> None:
        from config import checks

        _ = checks  # imported for what it registers
