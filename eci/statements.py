"""Prepared querysets: a queryset is written once, compiled once for each database, and run with new values.

    @reads
    def parts_of(*, key: str) -> QuerySet[Allocation]:
        return Allocation.objects.filter(reservation__key=key).order_by("stock")

    parts_of(key="A-1")  # as list(parts_of.definition(key="A-1"))

The queryset stays the definition, and its SQL is Django's own. Building and compiling it costs a process several times
what the question itself does, and is done once:

1. The function is called with a stand-in for each value. Django compiles its queryset; each stand-in leaves a slot.
2. A call fills the slots, and Django's cursor executes the text, so counters, traces and errors are as ever.

Nothing stands in for a value that is false (None, "", 0, False, an empty collection) or True: each of these is compiled
by itself. So the function may ask ``if value`` and ``value is None``, and can do nothing else with a value but hand it
to its queryset. A collection may have any length. What the function computes, it computes once: a time must be a value,
or the database's ``Now()``.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, ParamSpec, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models, router, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.constants import OnConflict
from django.db.models.expressions import Combinable, DatabaseDefault, Expression
from django.db.models.query import FlatValuesListIterable, ModelIterable, ValuesIterable, get_related_populators
from django.db.models.sql import InsertQuery, UpdateQuery

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=models.Model)

_KEPT = 128  # shapes of one statement, and texts of one shape
_FIELDS: dict[type, models.Field[Any, Any]] = {
    int: models.BigIntegerField(),
    str: models.CharField(),
    datetime: models.DateTimeField(),
    uuid.UUID: models.UUIDField(),
    dict: models.JSONField(),
}

registered: list[Statement[Any] | Inserts[Any]] = []


# -- stand-ins --------------------------------------------------------------------------------------------------------


class Shaped:
    """A value of which some parts have stand-ins, and the others decide the text: ``eci.paging.Paging``."""

    def values(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def with_values(self, *values: Any) -> Any:
        raise NotImplementedError


class Columns(Shaped):
    """What columns become, for ``change(rows, **columns)``. Which columns these are decides the text."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = tuple(given.items())

    def keys(self) -> Iterable[str]:
        return [name for name, _ in self._given]

    def __getitem__(self, name: str) -> Any:
        return dict(self._given)[name]

    def values(self) -> tuple[Any, ...]:
        return tuple(value for _, value in self._given)

    def with_values(self, *values: Any) -> Columns:
        return Columns(dict(zip(self.keys(), values, strict=True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self._given == other._given

    def __hash__(self) -> int:
        return hash(self._given)


@dataclass(frozen=True)
class Slot:
    """Where a value goes among the parameters. ``field`` prepares it; ``spread`` makes several of a collection."""

    name: str
    field: models.Field[Any, Any]
    spread: Callable[[Any], Iterable[Any]] | None = None

    def fill(self, value: Any, connection: Any) -> Iterable[Any]:
        several = (value,) if self.spread is None else self.spread(value)
        if type(self.field) is models.CharField:
            return several
        return [self.field.get_db_prep_value(one, connection) for one in several]


class StandIn(Combinable):
    """Stands for a value, or for the members of a collection, which for a mapping are its keys.

    It is true, as what it stands for, of which no more is known: it has no length, no members, and refuses comparison.
    """

    def __init__(self, name: str, field: models.Field[Any, Any], *, several: bool = False) -> None:
        self.name, self.field, self.several = name, field, several

    def resolve_expression(self, *args: Any, **how: Any) -> Value:
        if self.several:
            return _Placed("(\0, %s\0)", Slot(self.name, self.field, list))
        return _Placed("%s", Slot(self.name, self.field))

    def __eq__(self, other: object) -> bool:
        raise TypeError("A statement is compiled before its values are known, so it cannot compare them.")

    __hash__ = None  # type: ignore[assignment]


class _Placed(Value):
    def __init__(self, text: str, slot: Slot) -> None:
        is_json = isinstance(slot.field, models.JSONField)  # Django takes the value of such a one at once
        super().__init__(slot, output_field=None if is_json else slot.field)
        self.text = text

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return self.text, [self.value]


class PerRow(Expression):
    def __init__(self, values: Mapping[int, int] | StandIn) -> None:
        super().__init__(output_field=models.BigIntegerField())
        self.values, self.pk = values, F("pk")

    def get_source_expressions(self) -> list[Any]:
        return [self.pk]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self.pk,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, _ = compiler.compile(self.pk)
        if isinstance(self.values, StandIn):
            return f"CASE {column}\0 WHEN %s THEN %s\0 END", [Slot(self.values.name, self.output_field, _pairs)]
        cases = " WHEN %s THEN %s" * len(self.values)
        return f"CASE {column}{cases} END", Slot("", self.output_field, _pairs).fill(self.values, connection)


def _pairs(values: Mapping[int, int]) -> Iterable[int]:
    return chain.from_iterable(dict(values).items())  # of an empty one, () is left


def per_row(values: Mapping[int, int]) -> Any:
    """An SQL expression that gives each primary key its own integer, to update many rows in one statement."""
    return PerRow(values)


def _shape_of(value: Any) -> Any:
    """What of a value decides the text: its type, if a stand-in of that will do; otherwise the value itself."""
    if not value:
        return () if isinstance(value, Collection) and not isinstance(value, str) else value
    if isinstance(value, dict):
        member = type(next(iter(value)))
        return dict if member is str else (member,)
    if type(value) in _FIELDS:
        return type(value)
    if isinstance(value, str):
        return str
    if isinstance(value, Shaped):
        return value.with_values(*map(_shape_of, value.values()))
    return (type(next(iter(value))),) if isinstance(value, Collection) else value


def _stand_in(name: str, shape: Any) -> Any:
    if isinstance(shape, type):
        return StandIn(name, _FIELDS[shape])
    if isinstance(shape, Shaped):
        return shape.with_values(*(_stand_in(f"{name} {i}", part) for i, part in enumerate(shape.values())))
    if isinstance(shape, tuple) and shape:
        return StandIn(name, _FIELDS.get(shape[0], _FIELDS[str]), several=True)
    return shape


# -- texts ------------------------------------------------------------------------------------------------------------


class Text:
    """A text with slots. What stands between two NULs is repeated for each member of a collection."""

    def __init__(self, sql: str, params: Sequence[Any]) -> None:
        self._pieces, self._params = sql.split("\0"), params
        self._of_lengths = lru_cache(_KEPT)(self._written)

    def fill(self, values: Mapping[str, Any], connection: Any) -> tuple[str, list[Any]]:
        params: list[Any] = []
        lengths = []
        for part in self._params:
            if isinstance(part, Slot):
                params += part.fill(values[part.name], connection)
                if part.spread is not None:
                    lengths.append(len(values[part.name]))
            else:
                params.append(part)
        return self._of_lengths(*lengths), params

    def _written(self, *lengths: int) -> str:
        pieces = list(self._pieces)
        for place, length in zip(range(1, len(pieces), 2), lengths, strict=True):
            pieces[place] = (pieces[place] * length).removeprefix(", ")
        return "".join(pieces)


class Statement(Generic[P]):
    """A function that returns what is to be asked, and what was compiled of it. ``definition`` is the function."""

    def __init__(self, definition: Callable[P, Any]) -> None:
        self.definition = definition
        self.__doc__ = definition.__doc__
        self._model: type[models.Model] | None = None
        self._kept = lru_cache(_KEPT)(self._compiled)
        registered.append(self)

    def __repr__(self) -> str:
        return f"{self.definition.__module__}.{self.definition.__qualname__}"

    def prepared(self, values: Mapping[str, Any]) -> tuple[str, tuple[Text, Any] | None]:
        """The database, and the text for such values with what its answer needs; None where nothing can be found."""
        shapes = tuple((name, _shape_of(value)) for name, value in values.items())
        if self._model is None:
            self._model = self._asked(shapes).model
        alias = self.alias(self._model)
        return alias, self._kept(alias, shapes)

    def text(self, values: Mapping[str, Any], text: Text, connection: Any) -> tuple[str, list[Any]]:
        shaped = [(name, value) for name, value in values.items() if isinstance(value, Shaped)]
        parts = {f"{name} {i}": part for name, value in shaped for i, part in enumerate(value.values())}
        return text.fill({**values, **parts} if parts else values, connection)

    def _asked(self, shapes: Iterable[tuple[str, Any]]) -> Any:
        given: dict[str, Any] = {name: _stand_in(name, shape) for name, shape in shapes}
        return self.definition(**given)  # type: ignore[call-arg]

    def _compiled(self, alias: str, shapes: tuple[tuple[str, Any], ...]) -> tuple[Text, Any] | None:
        with connections[alias].execute_wrapper(_refuse):
            asked = self._asked(shapes)
            try:
                compiler = self.compiler(alias, asked)
                sql, params = compiler.as_sql()
            except EmptyResultSet:
                return None
        return Text(sql, params), self.answer(alias, asked, compiler)

    def alias(self, model: type[models.Model]) -> str:
        raise NotImplementedError

    def compiler(self, alias: str, asked: Any) -> Any:
        raise NotImplementedError

    def answer(self, alias: str, asked: Any, compiler: Any) -> Any:
        raise NotImplementedError


def _refuse(*_: Any) -> Any:
    raise RuntimeError("A statement's function asks the database, and the answer would be kept for ever.")


# -- reading ----------------------------------------------------------------------------------------------------------


class Reads(Statement[P], Generic[P, R]):
    """Rows as the queryset has them: models with what was selected beside them, dictionaries, tuples or values."""

    def __call__(self, *args: P.args, **values: P.kwargs) -> list[R]:
        return list(self._rows(values))

    def first(self, *args: P.args, **values: P.kwargs) -> R | None:
        return next(self._rows(values), None)

    def _rows(self, values: Mapping[str, Any]) -> Iterator[R]:
        alias, kept = self.prepared(values)
        if kept is None:
            return iter(())
        text, (locks, converters, row_of) = kept
        connection = connections[alias]
        if locks and not connection.in_atomic_block:
            raise transaction.TransactionManagementError(f"{self} locks rows, so it needs a unit of work.")
        with connection.cursor() as cursor:
            cursor.execute(*self.text(values, text, connection))
            found = cursor.fetchall()
        return map(row_of, _converted(found, converters, connection) if converters else found)

    def alias(self, model: type[models.Model]) -> str:
        return router.db_for_read(model)

    def compiler(self, alias: str, asked: QuerySet[Any, R]) -> Any:
        return asked.query.get_compiler(using=alias)

    def answer(self, alias: str, asked: QuerySet[Any, R], compiler: Any) -> Any:
        columns = [expression for expression, *_ in compiler.select[: compiler.col_count]]
        converters = _converters(compiler, columns)
        return asked.query.select_for_update, converters, _row_of(alias, asked, compiler)


def _converters(compiler: Any, columns: Sequence[Any]) -> list[Any]:
    return [(place, *how) for place, how in compiler.get_converters(columns).items()]


def _converted(rows: Iterable[Any], converters: Sequence[Any], connection: Any) -> Iterator[list[Any]]:
    for row in map(list, rows):
        for place, convert, expression in converters:
            for one in convert:
                row[place] = one(row[place], expression, connection)
        yield row


def _row_of(alias: str, asked: Any, compiler: Any) -> Callable[[Any], Any]:
    """What makes of a row of the database what Django's iterables do."""
    kind = asked._iterable_class
    if issubclass(kind, FlatValuesListIterable):
        return itemgetter(0)
    if issubclass(kind, ValuesIterable):
        selected = list(asked.query.selected)
        return lambda row: dict(zip(selected, row, strict=True))
    if not issubclass(kind, ModelIterable):
        return tuple
    model, places = compiler.klass_info["model"], compiler.klass_info["select_fields"]
    own = slice(places[0], places[-1] + 1)
    names = [column.target.attname for column, *_ in compiler.select[own]]
    beside = get_related_populators(compiler.klass_info, compiler.select, alias)  # type: ignore[call-arg]
    annotated = list((compiler.annotation_col_map or {}).items())

    def row_of(row: Sequence[Any]) -> Any:
        made = model.from_db(alias, names, row[own])
        for related in beside:
            related.populate(row, made)
        for name, place in annotated:
            setattr(made, name, row[place])
        return made

    return row_of


def reads(definition: Callable[P, QuerySet[Any, R]]) -> Reads[P, R]:
    """The function's queryset, prepared: call it for a list of its rows, or ``first`` for the first or None."""
    return Reads(definition)


# -- changing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """``queryset.update(**values)``, not yet run."""

    queryset: QuerySet[Any, Any]
    values: Mapping[str, Any]

    @property
    def model(self) -> type[models.Model]:
        return self.queryset.model


def change(queryset: QuerySet[Any, Any], **values: Any) -> Change:
    return Change(queryset, values)


class Changes(Statement[P]):
    """An update; returns how many rows it found."""

    def __call__(self, *args: P.args, **values: P.kwargs) -> int:
        alias, kept = self.prepared(values)
        if kept is None:
            return 0
        connection = connections[alias]
        with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
            cursor.execute(*self.text(values, kept[0], connection))
            return int(cursor.rowcount)

    def alias(self, model: type[models.Model]) -> str:
        return router.db_for_write(model)

    def compiler(self, alias: str, asked: Change) -> Any:
        query: Any = asked.queryset.query.chain(UpdateQuery)
        query.add_update_values(asked.values)
        query.annotations = {}
        return query.get_compiler(using=alias)

    def answer(self, alias: str, asked: Any, compiler: Any) -> None:
        return None


def changes(definition: Callable[P, Change]) -> Changes[P]:
    """The function's ``change``, prepared."""
    return Changes(definition)


# -- inserting --------------------------------------------------------------------------------------------------------


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
        self._kept = lru_cache(_KEPT)(self._compiled)
        registered.append(self)

    def __repr__(self) -> str:
        return f"inserts of {self.model._meta.label}"

    def __call__(self, rows: Sequence[M]) -> int:
        if not rows:
            return 0
        alias, meta = router.db_for_write(self.model), self.model._meta
        connection = connections[alias]
        filled_in = tuple(name for name, value in vars(rows[0]).items() if isinstance(value, DatabaseDefault))
        if not all(isinstance(getattr(row, name), DatabaseDefault) for name in filled_in for row in rows):
            raise TypeError(f"{self}: one row leaves {filled_in} to the database, another does not.")
        at_once = len(rows) >= _MANY and connection.vendor == "postgresql"
        text: _Insertion = self._kept(alias, filled_in, rows[0].pk is not None, at_once)
        size = max(1, connection.ops.bulk_batch_size(text.parts, rows))
        inserted = 0
        with transaction.mark_for_rollback_on_error(using=alias), connection.cursor() as cursor:
            for batch in (rows[start : start + size] for start in range(0, len(rows), size)):
                cursor.execute(*(text.at_once if at_once else text.fill)(batch, connection))
                inserted += cursor.rowcount if self.once else len(batch)
                made = _converted(cursor.fetchall(), text.converters, connection) if text.returned else ()
                for row, values in zip(batch, made, strict=bool(text.returned)):
                    vars(row).update(zip(text.returned, values, strict=True))
                if len(batch) == 1 and batch[0].pk is None and not self.once:  # MySQL
                    batch[0].pk = connection.ops.last_insert_id(cursor, meta.db_table, str(meta.pk.column))
        return inserted

    def _compiled(self, alias: str, filled_in: Sequence[str], has_key: bool, at_once: bool) -> _Insertion:
        connection, meta = connections[alias], self.model._meta
        by_itself = connection.features.supports_default_keyword_in_bulk_insert
        unnamed = set(filled_in) - self.same.keys() if at_once else set()
        fields: list[Any] = [
            one
            for one in meta.concrete_fields
            if not one.generated and (has_key or not isinstance(one, models.AutoField)) and one.attname not in unnamed
        ]
        template = self.model()
        for field in fields:
            if field.attname in self.same:
                value = self.same[field.attname]
            elif field.attname in filled_in:
                value = DatabaseDefault(field.db_default) if by_itself else field.db_default
            else:
                value = _Column(output_field=field)
            setattr(template, field.attname, value)
        query = InsertQuery(self.model, **self._on_conflict())
        query.insert_values(fields, [template])
        compiler = query.get_compiler(using=alias)
        returns = not self.once and connection.features.can_return_rows_from_bulk_insert
        returned = compiler.returning_fields = list(meta.db_returning_fields) if returns else []
        [(sql, parts)] = compiler.as_sql()
        before, row, after = _INSERT.fullmatch(sql).groups()  # type: ignore[union-attr]
        return _Insertion(
            before=before,
            row=row,
            after=after,
            parts=parts,
            returned=[field.attname for field in returned],
            converters=_converters(compiler, [field.get_col(meta.db_table) for field in returned]),
        )

    def _on_conflict(self) -> dict[str, Any]:
        if not self.replaces:
            return {"on_conflict": OnConflict.IGNORE} if self.once else {}
        meta = self.model._meta
        replaced = [meta.get_field(name) for name in self.replaces]
        return {"on_conflict": OnConflict.UPDATE, "update_fields": replaced, "unique_fields": [meta.pk]}


_INSERT = re.compile(r"(.*) VALUES \((.*?)\)((?: ON (?:CONFLICT|DUPLICATE)\b.*| RETURNING .*)?)")
_MANY = 20  # rows


@dataclass(frozen=True, kw_only=True)
class _Insertion:
    """The text of an insert: what comes before a row's values, they themselves, and what comes after; the parameters of
    a row; and what comes back."""

    before: str
    row: str
    after: str
    parts: Sequence[Any]
    returned: Sequence[str]
    converters: Sequence[Any]

    def fill(self, rows: Sequence[models.Model], connection: Any) -> tuple[str, list[Any]]:
        params = [_value_of(row, part, connection) for row in rows for part in self.parts]
        return f"{self.before} VALUES {', '.join([f'({self.row})'] * len(rows))}{self.after}", params

    def at_once(self, rows: Sequence[models.Model], connection: Any) -> tuple[str, list[Any]]:
        """All rows as one parameter: psycopg takes longer to read thousands of places than all the rest takes."""
        fields = [part for part in self.parts if isinstance(part, models.Field)]
        same = [part for part in self.parts if not isinstance(part, models.Field)]
        types = [str(field.db_type(connection)) for field in fields]
        places = iter([f"c{number}::{of_type}" for number, of_type in enumerate(types)])
        parts = iter([next(places) if isinstance(part, models.Field) else "%s" for part in self.parts])
        row = re.sub("%s", lambda _: next(parts), self.row)
        table = ", ".join(f"c{number} text" for number in range(len(fields)))
        values = [
            {f"c{number}": _as_json(_value_of(row, field, connection)) for number, field in enumerate(fields)}
            for row in rows
        ]
        given = json.dumps(values, ensure_ascii=False)
        chosen = f"SELECT {row} FROM json_to_recordset(%s) AS r({table})"  # noqa: S608 - numbers, and types of columns
        return f"{self.before} {chosen}{self.after}", [*same, given]


def _as_json(value: Any) -> Any:
    """As PostgreSQL reads a value of any type from JSON's texts and numbers."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID | Decimal | date | time | timedelta):
        return str(value)
    return value.dumps(value.obj)  # Jsonb


def _value_of(row: models.Model, part: Any, connection: Any) -> Any:
    """``part``: a field of the row, or a parameter that all rows have."""
    if isinstance(part, models.Field):
        return part.get_db_prep_save(getattr(row, part.attname), connection)
    return part
