"""Reads and updates: a function that returns what is asked, and what was compiled of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Generic, ParamSpec, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models, transaction
from django.db.models import QuerySet
from django.db.models.query import FlatValuesListIterable, ModelIterable, ValuesIterable, get_related_populators
from django.db.models.sql import UpdateQuery

from eci.statements.rows import loader
from eci.statements.stand_ins import PLAIN, Shaped, shape_of, stand_in
from eci.statements.texts import KEPT, Text, converted, converters_of, count, databases, fetched, run, send_along, write

P = ParamSpec("P")
R = TypeVar("R")

registered: list[Statement[Any]] = []


class Statement(Generic[P]):
    """A function that returns what is to be asked, and what was compiled of it. ``definition`` is the function."""

    def __init__(self, definition: Callable[P, Any]) -> None:
        self.definition = definition
        self.__doc__ = definition.__doc__
        self._model: type[models.Model] | None = None
        self._kept = lru_cache(KEPT)(self._compiled)
        registered.append(self)

    def __repr__(self) -> str:
        return f"{self.definition.__module__}.{self.definition.__qualname__}"

    def prepared(self, values: Mapping[str, Any]) -> tuple[str, tuple[Text, Any] | None]:
        """The database, and the text for such values with what its answer needs; None where nothing can be found."""
        shapes = tuple(
            [
                (name, type(value) if value and type(value) in PLAIN else shape_of(value))
                for name, value in values.items()
            ]
        )
        if self._model is None:
            self._model = self._asked(shapes).model
        alias = self.alias(self._model)
        return alias, self._kept(alias, shapes)

    def text(self, values: Mapping[str, Any], text: Text) -> tuple[str, list[Any]]:
        shaped = [(name, value) for name, value in values.items() if isinstance(value, Shaped)]
        parts = {f"{name} {i}": part for name, value in shaped for i, part in enumerate(value.values())}
        return text.fill({**values, **parts} if parts else values)

    def _asked(self, shapes: Iterable[tuple[str, Any]]) -> Any:
        given: dict[str, Any] = {name: stand_in(name, shape) for name, shape in shapes}
        return self.definition(**given)  # type: ignore[call-arg]

    def _compiled(self, alias: str, shapes: tuple[tuple[str, Any], ...]) -> tuple[Text, Any] | None:
        with connections[alias].execute_wrapper(_refuse):
            asked = self._asked(shapes)
            try:
                compiler = self.compiler(alias, asked)
                sql, params = compiler.as_sql()
            except EmptyResultSet:
                return None
        return Text(sql, params, connections[alias]), self.answer(alias, asked, compiler)

    def alias(self, model: type[models.Model]) -> str:
        raise NotImplementedError

    def compiler(self, alias: str, asked: Any) -> Any:
        raise NotImplementedError

    def answer(self, alias: str, asked: Any, compiler: Any) -> Any:
        raise NotImplementedError


def _refuse(*_: Any) -> Any:
    raise RuntimeError("A statement's function asks the database, and the answer would be kept for ever.")


# -- reading -----------------------------------------------------------------------------------------------------------


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
        found = run(connection, *self.text(values, text), fetched)
        return map(row_of, converted(found, converters, connection) if converters else found)

    def alias(self, model: type[models.Model]) -> str:
        return databases.db_for_read(model)

    def compiler(self, alias: str, asked: QuerySet[Any, R]) -> Any:
        return asked.query.get_compiler(using=alias)

    def answer(self, alias: str, asked: QuerySet[Any, R], compiler: Any) -> Any:
        columns = [expression for expression, *_ in compiler.select[: compiler.col_count]]
        converters = converters_of(compiler, columns)
        return asked.query.select_for_update, converters, _row_of(alias, asked, compiler)


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
    load = loader(model, [column.target.attname for column, *_ in compiler.select[own]], alias)
    beside = get_related_populators(compiler.klass_info, compiler.select, alias)  # type: ignore[call-arg]
    annotated = list((compiler.annotation_col_map or {}).items())
    if len(places) == compiler.col_count:
        return load

    def row_of(row: Sequence[Any]) -> Any:
        made = load(row[own])
        for related in beside:
            related.populate(row, made)
        for name, place in annotated:
            setattr(made, name, row[place])
        return made

    return row_of


def reads(definition: Callable[P, QuerySet[Any, R]]) -> Reads[P, R]:
    """The function's queryset, prepared: call it for a list of its rows, or ``first`` for the first or None."""
    return Reads(definition)


# -- changing ----------------------------------------------------------------------------------------------------------


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
        return int(write(connection, *self.text(values, kept[0]), count))

    def along(self, *args: P.args, **values: P.kwargs) -> None:
        """Nobody needs to know how many rows: as ``Inserts.along``."""
        alias, kept = self.prepared(values)
        if kept is not None:
            send_along(connections[alias], *self.text(values, kept[0]))

    def alias(self, model: type[models.Model]) -> str:
        return databases.db_for_write(model)

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
