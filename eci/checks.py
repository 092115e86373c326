"""Start-up checks: wrong settings are reported at start-up, not at the first request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from eci import events

OWN = ["eci"]
"""What commands check before they begin: settings, which differ from shop to shop. Django's own look at the code, and
load all of it."""


@register(*OWN)
def no_transaction_around_requests(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        return [Error("ATOMIC_REQUESTS would keep a transaction open during network calls.", id="eci.E005")]
    return []


@register(*OWN)
def subscriptions_match_handlers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    declared = {(consumer, name) for name, consumers in settings.ECI_SUBSCRIPTIONS.items() for consumer in consumers}
    declared = {(consumer, name) for consumer, name in declared if consumer in settings.ECI_CONTEXTS}
    return [
        Error(f"{consumer}'s handlers and the table of subscriptions disagree about {name}.", id="eci.E006")
        for consumer, name in declared ^ events.subscriptions()
    ]


@register(Tags.database)
def databases_distinguish_case(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """With MySQL's default collations ``abc`` and ``ABC`` would be one idempotency key."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        if connections[alias].vendor == "mysql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT @@collation_database")
                collation = str(cursor.fetchone()[0])
            if not collation.endswith("_bin"):
                found.append(
                    Error(
                        f"The {alias} database compares text by {collation}: keys that differ only in case are equal.",
                        hint="Create it with COLLATE utf8mb4_0900_bin (MySQL) or utf8mb4_nopad_bin (MariaDB).",
                        id="eci.E007",
                    )
                )
    return found
