"""SQLite. It has no server that could hang, but a statement may take long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from eci.clock import in_utc
from eci.databases import Named, parent, waits

_LOOKS_EVERY = 50_000  # instructions of SQLite's machine, a few milliseconds


def _in_utc(value: datetime | str) -> datetime:
    """Of a column it is a time already, of an expression a text."""
    return in_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value))


class DatabaseWrapper(Named, parent("sqlite3")):  # type: ignore[misc]
    quick_converters: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "convert_booleanfield_value": bool,
        "convert_datetimefield_value": _in_utc,
    }

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        connection = super().get_new_connection(parameters)
        if waits.statement_seconds:
            connection.set_progress_handler(self._takes_too_long, _LOOKS_EVERY)
        return connection

    def _takes_too_long(self) -> bool:
        """True ends the statement: ``OperationalError: interrupted``."""
        began: float = self.wrap_database_errors.began
        return 0 < began < time.monotonic() - (waits.statement_seconds or 0)
