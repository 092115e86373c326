"""The kernel as a Django app: its checks, path converters and templates."""

from django.apps import AppConfig
from django.conf import LazySettings

# Django's looks at each setting that it has found for whether it is a method of the proxy. None is.
LazySettings.__getattribute__ = object.__getattribute__  # type: ignore[method-assign, assignment]


class KernelConfig(AppConfig):
    name = "eci"
    label = "eci"

    def ready(self) -> None:
        from eci import checks
        from eci.http import converters

        _ = checks, converters  # imported for what they register
