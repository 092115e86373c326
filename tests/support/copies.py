"""What many tests begin with is made once by each process, over the API, and then copied row by row."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import connections, models, router, transaction
from django.test import override_settings

from eci.db import primaries
from tests.support.api import Api

T = TypeVar("T")
Rows = dict[tuple[str, type[models.Model]], list[tuple[Any, ...]]]  # by alias and model

_OF_A_TEST = ("_DIR", "_FILE", "_LEDGER")


class Copied(Generic[T]):
    """``make`` is called here with a client of an open shop, in databases with nothing in them, and rolled back."""

    def __init__(self, make: Callable[[Api], T]) -> None:
        self._make = make
        self._settings = _settings()
        with tempfile.TemporaryDirectory() as folder, override_settings(ECI_SANDBOX_LEDGER=Path(folder, "ledger")):
            with _rolled_back():
                before = _all_rows()
                self._made = make(Api())
                self._rows = {
                    place: [row for row in rows if row not in before[place]]
                    for place, rows in _all_rows().items()
                    if rows != before[place]
                }
            self._ledger = _image(settings.ECI_SANDBOX_LEDGER)
        self._empty = [place for place in self._rows if not before[place]]

    def put(self, api: Api) -> T:
        """What ``make`` answered, with its rows; it is called again where this test has other settings, another client
        or rows of its own."""
        if _settings() != self._settings or not _is_plain(api) or not all(map(self._is_empty, primaries())):
            return self._make(api)
        for (alias, model), rows in self._rows.items():
            connection = connections[alias]
            places = ", ".join(["%s"] * len(rows[0]))
            into = f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({_columns(alias, model)})"
            with connection.constraint_checks_disabled(), connection.cursor() as cursor:
                cursor.executemany(f"{into} VALUES ({places})", rows)
        if self._ledger:
            Path(settings.ECI_SANDBOX_LEDGER).write_bytes(self._ledger)
        return self._made

    def _is_empty(self, alias: str) -> bool:
        quote = connections[alias].ops.quote_name
        tables = [quote(model._meta.db_table) for there, model in self._empty if there == alias]
        if not tables:
            return True
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT " + " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in tables))
            return not cursor.fetchone()[0]


def _settings() -> dict[str, Any]:
    names = [name for name in dir(settings) if name.startswith("ECI_") and not name.endswith(_OF_A_TEST)]
    return {name: getattr(settings, name) for name in names}


def _is_plain(api: Api) -> bool:
    return type(api) is Api and not api.client.cookies and not api.client.defaults


@contextmanager
def _rolled_back() -> Iterator[None]:
    with ExitStack() as stack:
        for alias in primaries():
            stack.enter_context(transaction.atomic(using=alias))  # noqa: TID251
        yield
        for alias in primaries():
            transaction.set_rollback(True, using=alias)


def _all_rows() -> Rows:
    found: Rows = {}
    for alias in primaries():
        with connections[alias].cursor() as cursor:
            for model in apps.get_models(include_auto_created=True):
                if router.allow_migrate_model(alias, model) and model._meta.managed and not model._meta.proxy:
                    table = connections[alias].ops.quote_name(model._meta.db_table)
                    cursor.execute(f"SELECT {_columns(alias, model)} FROM {table}")  # noqa: S608
                    found[alias, model] = list(cursor.fetchall())
    return found


def _columns(alias: str, model: type[models.Model]) -> str:
    names = [field.column for field in model._meta.local_concrete_fields if not field.generated]
    return ", ".join(map(connections[alias].ops.quote_name, names))


def _image(ledger: Path) -> bytes:
    if not ledger.exists():
        return b""
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.serialize()
