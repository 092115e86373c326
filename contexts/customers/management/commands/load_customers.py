"""Registers customers. Other commands call it with Python values."""

from __future__ import annotations

import contextlib
from typing import Any

from django.core.management.base import BaseCommand

from contexts.customers import services
from contexts.customers.public.contracts import DuplicateEmail
from eci import text
from eci.checks import OWN
from eci.identity.passwords import NO_PASSWORD


class Command(BaseCommand):
    help = "Create the given customers whose e-mail address is new."
    requires_system_checks = OWN
    stealth_options = ("customers",)

    def handle(self, *args: Any, **options: Any) -> None:
        """``customers``: dicts of email, full_name, phone. They get no password, so nobody can log in as them.

        ValueError for text that no door takes.
        """
        for customer in options["customers"]:
            with contextlib.suppress(DuplicateEmail):
                services.register_customer(
                    email=text.email(customer["email"]),
                    full_name=text.clean(customer["full_name"], limit=text.NAME, blank=False),
                    phone=text.phone(customer["phone"]) if text.trim(customer.get("phone", "")) else "",
                    password_hash=NO_PASSWORD,
                )
