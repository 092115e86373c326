"""``manage.py prepare_staff``: prepare staff accounts as ``up`` does, for processes that are started another way."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from config.staff import accounts
from eci.checks import OWN


class Command(BaseCommand):
    help = "Make the groups of staff, and the first administrator from ECI_ADMIN_EMAIL and ECI_ADMIN_PASSWORD."
    requires_system_checks = OWN

    def handle(self, *args: Any, **options: Any) -> None:
        accounts.prepare()
