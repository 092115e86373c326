"""``manage.py rotate_keys``: sign access tokens with a new key from now on. Nobody is logged out."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from eci.checks import OWN
from eci.identity import tokens


class Command(BaseCommand):
    help = "Make a new key for access tokens. Tokens signed with the old key stay valid until they expire."
    requires_system_checks = OWN

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(f"Access tokens are signed with key {tokens.rotate()} from now on.")
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
