"""Start-up checks: a wrong setting is told before the first request, not by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from eci import events, money


@register()
def shop_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not money.is_currency(settings.ECI_CURRENCY):
        found.append(Error("ECI_CURRENCY is not an ISO 4217 code.", id="eci.E001"))
    if not 0 <= settings.ECI_TAX_RATE < 1:
        found.append(Error("ECI_TAX_RATE is a fraction from 0 to less than 1, such as 0.05.", id="eci.E002"))
    if settings.ECI_SHIPPING_FEE < 0:
        found.append(Error("ECI_SHIPPING_FEE must not be negative.", id="eci.E003"))
    if settings.ECI_RESERVATION_SECONDS < 1:
        found.append(Error("ECI_RESERVATION_SECONDS must be at least 1.", id="eci.E004"))
    if any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        found.append(Error("ATOMIC_REQUESTS would hold a transaction over provider calls.", id="eci.E005"))
    return found


@register()
def subscriptions_match_handlers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    declared = {(consumer, name) for name, consumers in settings.ECI_SUBSCRIPTIONS.items() for consumer in consumers}
    declared = {(consumer, name) for consumer, name in declared if consumer in settings.ECI_CONTEXTS}
    return [
        Error(f"{consumer} and the table of subscriptions disagree about {name}.", id="eci.E006")
        for consumer, name in declared ^ events.subscriptions()
    ]


@register(Tags.database)
def databases_tell_case(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """MySQL's default collations hold ``abc`` and ``ABC`` for the same idempotency key."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor == "mysql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT @@collation_database")
                collation = str(cursor.fetchone()[0])
            if not collation.endswith("_bin"):
                found.append(
                    Error(
                        f"The {alias} database compares text as {collation}: keys that differ in case would be one.",
                        hint="Create it with COLLATE utf8mb4_0900_bin (MySQL) or utf8mb4_nopad_bin (MariaDB).",
                        id="eci.E007",
                    )
                )
    return found
