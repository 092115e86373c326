"""The kernel as a Django app: its checks, path converters and templates."""

from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "eci"
    label = "eci"

    def ready(self) -> None:
        from eci import checks
        from eci.http import converters

        _ = checks, converters  # imported for what they register
