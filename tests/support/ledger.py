"""The sandbox provider's own books."""

from __future__ import annotations

import sqlite3

from django.conf import settings


class Ledger:
    """The provider's own books, read past all of our code."""

    def operations(self, kind: str | None = None) -> list[tuple[str, str, int, str]]:
        """(key, kind, amount, outcome) of every operation, oldest first."""
        with sqlite3.connect(settings.ECI_SANDBOX_LEDGER) as ledger:
            found = ledger.execute("SELECT name FROM sqlite_master WHERE name = 'operations'").fetchall()
            rows = (
                ledger.execute("SELECT key, kind, amount_minor, outcome FROM operations ORDER BY id").fetchall()
                if found
                else []
            )
        ledger.close()
        return [row for row in rows if kind in (None, row[1])]

    def done(self, kind: str) -> list[int]:
        return [amount for _, _, amount, outcome in self.operations(kind) if outcome == "done"]
