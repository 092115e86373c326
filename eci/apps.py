"""The kernel as a Django app: its checks, path converters and templates."""

from django.apps import AppConfig
from django.db.models.signals import pre_save


class KernelConfig(AppConfig):
    name = "eci"
    label = "eci"

    def ready(self) -> None:
        from eci import checks
        from eci.http import converters
        from eci.identity import locks

        pre_save.connect(locks.end_logins_of_locked, sender="auth.User", dispatch_uid="eci.identity.locks")
        _ = checks, converters  # imported for what they register
