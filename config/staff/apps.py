from django.apps import AppConfig


class StaffConfig(AppConfig):
    """Pages and commands that look across contexts, composed from their public APIs only."""

    name = "config.staff"
    label = "staff"

    def ready(self) -> None:
        from config import checks

        _ = checks  # imported for what it registers
