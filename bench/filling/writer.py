"""Write many rows of a model: COPY on PostgreSQL, inserts of many rows elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connections, models

from eci.db import unit_of_work

CHUNK = 20_000  # rows in one transaction
T = TypeVar("T")


def write(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Returns the number of rows. ``columns`` are attribute names; the other columns get their defaults.

    Values are as databases take them: times as text in UTC, JSON as text, UUIDs as 32 digits.
    """
    alias = model._meta.app_label
    connection = connections[alias]
    defaults = _defaults(model, columns, connection)
    names = [model._meta.get_field(name).column for name in (*columns, *defaults)]
    constant = tuple(defaults.values())
    written = 0
    for chunk in _chunks((*row, *constant) for row in rows):
        # What a row refers to may be written after it, once its sums are known.
        with connection.constraint_checks_disabled(), unit_of_work(alias), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL session_replication_role = replica")
            _insert(connection, cursor, model._meta.db_table, names, chunk)
        written += len(chunk)
    if written:
        _go_on_after(connection, model)
    return written


def _defaults(model: type[models.Model], columns: Sequence[str], connection: Any) -> dict[str, Any]:
    """What Django fills in; the database fills in the rest."""
    found = {}
    for field in model._meta.concrete_fields:
        if field.attname in columns or field.name in columns or field.generated or isinstance(field, models.AutoField):
            continue
        if not field.has_db_default():
            value = field.get_db_prep_save(field.get_default(), connection)
            found[field.attname] = "{}" if value is not None and isinstance(field, models.JSONField) else value
    return found


def _chunks(rows: Iterator[T]) -> Iterator[list[T]]:
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def _insert(connection: Any, cursor: Any, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    quoted = ", ".join(map(connection.ops.quote_name, names))
    into = f"{connection.ops.quote_name(table)} ({quoted})"
    if connection.vendor == "postgresql":
        with cursor.copy(f"COPY {into} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        cursor.executemany(f"INSERT INTO {into} VALUES ({', '.join(['%s'] * len(names))})", rows)


def _go_on_after(connection: Any, model: type[models.Model]) -> None:
    """Let the next id come after those that were given; MariaDB and SQLite see to it themselves."""
    if connection.vendor == "postgresql" and isinstance(model._meta.pk, models.AutoField):
        table, key = model._meta.db_table, model._meta.pk.column
        with connection.cursor() as cursor:
            sequence = f"pg_get_serial_sequence('{table}', '{key}')"
            cursor.execute(f"SELECT setval({sequence}, (SELECT max({key}) FROM {table}))")


def refresh_statistics(alias: str) -> None:
    """As the server's own housekeeping does in time: the planner must know how large the tables have become."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            tables = ", ".join(map(connection.ops.quote_name, connection.introspection.table_names(cursor)))
            cursor.execute(f"ANALYZE TABLE {tables}")
        else:
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
