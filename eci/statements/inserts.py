"""Rows that are inserted many at a time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models
from django.db.models.constants import OnConflict
from django.db.models.expressions import DatabaseDefault, Expression
from django.db.models.sql import InsertQuery

from eci.statements.stand_ins import itself, preparation
from eci.statements.texts import KEPT, Converters, converted, converters_of, databases, send_along, write

M = TypeVar("M", bound=models.Model)

registered: list[Inserts[Any]] = []


class _Column(Expression):
    """Stands for what a row has in the column of its field."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self.output_field]


class Inserts(Generic[M]):
    """``bulk_create``, prepared: rows get what the database made for them. Returns how many were inserted.

    ``once``: a row that is there already is left out, as by ``ignore_conflicts``. ``replaces``: columns of a row with
    this key that is there already, which become the new row's; as ``bulk_update``, which takes ten times as long.
    ``same``: columns that have the same expression in all rows. What the database fills in by itself, it does in all
    rows or in none.
    """

    def __init__(self, model: type[M], *, once: bool = False, replaces: Sequence[str] = (), **same: Any) -> None:
        self.model, self.once, self.replaces, self.same = model, once, replaces, same
        self._kept = lru_cache(KEPT)(self._compiled)
        registered.append(self)

    def __repr__(self) -> str:
        return f"inserts of {self.model._meta.label}"

    def __call__(self, rows: Sequence[M]) -> int:
        inserted = 0
        for connection, text, batch, filled in self._batches(rows, answered=True):
            found = write(connection, *filled, partial(self._answer, connection, text, batch))
            inserted += found if self.once else len(batch)
        return inserted

    def along(self, rows: Sequence[M]) -> None:
        """Nobody needs what the database makes of these rows, which stay as they are.

        A server gets them together with the transaction's next statement, or with its COMMIT, which then raises their
        errors: so it is for rows that no rule of the database should refuse.
        """
        for connection, _, _, filled in self._batches(rows, answered=False):
            send_along(connection, *filled)

    def _batches(
        self, rows: Sequence[M], *, answered: bool
    ) -> Iterator[tuple[Any, _Insertion, Sequence[M], tuple[str, list[Any]]]]:
        if not rows:
            return
        alias = databases.db_for_write(self.model)
        connection = connections[alias]
        filled_in = tuple(name for name, value in vars(rows[0]).items() if isinstance(value, DatabaseDefault))
        if not all(isinstance(getattr(row, name), DatabaseDefault) for name in filled_in for row in rows[1:]):
            raise TypeError(f"{self}: one row leaves {filled_in} to the database, another does not.")
        at_once = len(rows) >= _MANY and connection.vendor == "postgresql"
        text: _Insertion = self._kept(alias, filled_in, rows[0].pk is not None, at_once, answered)
        size = max(1, connection.ops.bulk_batch_size(text.columns, rows))
        for batch in (rows[start : start + size] for start in range(0, len(rows), size)):
            yield connection, text, batch, (text.at_once if at_once else text.fill)(batch)

    def _answer(self, connection: Any, text: _Insertion, batch: Sequence[M], cursor: Any) -> int:
        """Rows get what the database made for them. How many were inserted."""
        made = cursor.fetchall() if text.returned else ()
        if text.converters:
            made = converted(made, text.converters, connection)
        for row, values in zip(batch, made, strict=bool(text.returned)):
            vars(row).update(zip(text.returned, values, strict=True))
        if len(batch) == 1 and batch[0].pk is None and not self.once:  # MySQL
            meta = self.model._meta
            batch[0].pk = connection.ops.last_insert_id(cursor, meta.db_table, str(meta.pk.column))
        return int(cursor.rowcount)

    def _compiled(
        self, alias: str, filled_in: Sequence[str], has_key: bool, at_once: bool, answered: bool
    ) -> _Insertion:
        connection, meta = connections[alias], self.model._meta
        by_itself = connection.features.supports_default_keyword_in_bulk_insert
        unnamed = set(filled_in) - self.same.keys() if at_once else set()
        fields: list[Any] = [
            one
            for one in meta.concrete_fields
            if not one.generated and (has_key or not isinstance(one, models.AutoField)) and one.attname not in unnamed
        ]
        template = self.model()
        for one in fields:
            if one.attname in self.same:
                value = self.same[one.attname]
            elif one.attname in filled_in:
                value = DatabaseDefault(one.db_default) if by_itself else one.db_default
            else:
                value = _Column(output_field=one)
            setattr(template, one.attname, value)
        query = InsertQuery(self.model, **self._on_conflict())
        query.insert_values(fields, [template])
        compiler = query.get_compiler(using=alias)
        returns = answered and not self.once and connection.features.can_return_rows_from_bulk_insert
        returned = compiler.returning_fields = list(meta.db_returning_fields) if returns else []
        [(sql, parts)] = compiler.as_sql()
        before, row, after = _INSERT.fullmatch(sql).groups()  # type: ignore[union-attr]
        return _Insertion(
            before=before,
            row=row,
            after=after,
            columns=[_column(part, connection) for part in parts],
            returned=[one.attname for one in returned],
            converters=converters_of(compiler, [one.get_col(meta.db_table) for one in returned]),
        )

    def _on_conflict(self) -> dict[str, Any]:
        if not self.replaces:
            return {"on_conflict": OnConflict.IGNORE} if self.once else {}
        meta = self.model._meta
        replaced = [meta.get_field(name) for name in self.replaces]
        return {"on_conflict": OnConflict.UPDATE, "update_fields": replaced, "unique_fields": [meta.pk]}


_INSERT = re.compile(r"(.*) VALUES \((.*?)\)((?: ON (?:CONFLICT|DUPLICATE)\b.*| RETURNING .*)?)")
_MANY = 20  # rows


class _Of(NamedTuple):
    """What a row has in a column: ``prepare`` makes it of the attribute. Without a name, all rows have ``prepare``.
    ``type`` is the column's own, ``read_as`` how it is taken out of JSON, and ``prepare_json`` what puts it there."""

    name: str | None
    prepare: Any
    type: str = ""
    read_as: str = "text"
    prepare_json: Any = itself


def _column(part: Any, connection: Any) -> _Of:
    if not isinstance(part, models.Field):
        return _Of(None, part)
    prepare, kind = preparation(part, connection), str(part.db_type(connection))
    if isinstance(part, models.JSONField):
        return _Of(part.attname, prepare, kind, read_as=kind)
    field = part.target_field if isinstance(part, models.ForeignKey) else part
    if prepare is itself or isinstance(field, models.IntegerField):
        return _Of(part.attname, prepare, kind)
    in_json = datetime.isoformat if type(field) is models.DateTimeField else _in_json
    return _Of(part.attname, prepare, kind, prepare_json=in_json)


def _in_json(value: Any) -> Any:
    """As PostgreSQL reads it from a text. TypeError for what it cannot."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime | uuid.UUID | Decimal | date | time | timedelta):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not told by a text.")


@dataclass(frozen=True, kw_only=True)
class _Insertion:
    """The text of an insert: what comes before a row's values, they themselves, and what comes after; the parameters of
    a row; and what comes back. ``texts``: those of a few rows."""

    before: str
    row: str
    after: str
    columns: Sequence[_Of]
    returned: Sequence[str]
    converters: Converters | None
    texts: dict[int, str] = field(default_factory=dict)

    def fill(self, rows: Sequence[models.Model]) -> tuple[str, list[Any]]:
        params = list(chain.from_iterable(_values_of(row, self.columns) for row in rows))
        text = self.texts.get(len(rows))
        if text is None:
            text = f"{self.before} VALUES {', '.join([f'({self.row})'] * len(rows))}{self.after}"
            if len(rows) < _MANY:
                self.texts[len(rows)] = text
        return text, params

    def at_once(self, rows: Sequence[models.Model]) -> tuple[str, list[Any]]:
        """All rows as one parameter: psycopg takes longer to read thousands of places than all the rest takes."""
        text, same, own = self._at_once
        values = []
        for row in rows:
            has = vars(row)
            values.append(
                {
                    key: has[name] if prepare is itself or has[name] is None else prepare(has[name])
                    for key, name, prepare in own
                }
            )
        return text, [*same, _encode(values)]

    @cached_property
    def _at_once(self) -> tuple[str, list[Any], list[tuple[str, str, Any]]]:
        """The text, what all rows have, and of each other column its name in JSON, its attribute and what prepares it.

        What is JSON itself goes as it is, and not as a text within a text."""
        own = [(f"c{number}", column) for number, column in enumerate(c for c in self.columns if c.name is not None)]
        places = iter([f"{key}::{column.type}" for key, column in own])
        parts = iter(["%s" if column.name is None else next(places) for column in self.columns])
        row = re.sub("%s", lambda _: next(parts), self.row)
        table = ", ".join(f"{key} {column.read_as}" for key, column in own)
        chosen = f"SELECT {row} FROM json_to_recordset(%s) AS r({table})"  # noqa: S608 - numbers, and types of columns
        same = [column.prepare for column in self.columns if column.name is None]
        return f"{self.before} {chosen}{self.after}", same, [(key, str(one.name), one.prepare_json) for key, one in own]


_encode = DjangoJSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def _values_of(row: models.Model, columns: Sequence[_Of]) -> list[Any]:
    has = vars(row)
    return [
        prepare if name is None else has[name] if prepare is itself or has[name] is None else prepare(has[name])
        for name, prepare, *_ in columns
    ]
