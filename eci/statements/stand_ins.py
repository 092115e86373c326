"""What stands for a value while its statement is compiled, and what of the value decides the text."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from django.db import models
from django.db.models import F, Value
from django.db.models.expressions import Combinable, Expression
from django.db.models.fields import AutoFieldMixin

FIELDS: dict[type, models.Field[Any, Any]] = {
    int: models.BigIntegerField(),
    str: models.CharField(),
    datetime: models.DateTimeField(),
    uuid.UUID: models.UUIDField(),
    dict: models.JSONField(),
}


# What is compared with it is the same as one of its members. The SELECT hides how many there are: PostgreSQL takes an
# unknown array for ten long, finds a plan for the one at hand cheaper than the one it keeps, and would plan every call.
ANY = "ANY ((SELECT %s::bigint[])::bigint[])"


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


PLAIN = FIELDS.keys() - {dict}  # the kinds of which a value that is true has its type as its shape


def preparation(field: models.Field[Any, Any], connection: Any) -> Callable[[Any], Any]:
    """What makes of a value, which is not None, what the driver takes for this field.

    Of most it is the value itself. Django asks the field again for each, and takes several calls to find that out.
    """
    if isinstance(field, models.ForeignKey):
        return preparation(field.target_field, connection)
    if any(isinstance(field, plain) and _prepares_as(field, plain) for plain in _PLAIN_FIELDS):
        return itself
    if type(field) is models.DateTimeField:
        adapted: Callable[[Any], Any] = connection.ops.adapt_datetimefield_value
        return adapted
    if isinstance(field, models.IntegerField) and not isinstance(field, AutoFieldMixin):
        wrappers: dict[str, Callable[[Any], Any]] = getattr(connection.ops, "integerfield_type_map", {})  # PostgreSQL
        return wrappers.get(field.get_internal_type(), int)
    return partial(field.get_db_prep_save, connection=connection)


_PLAIN_FIELDS = (models.CharField, models.TextField, models.BooleanField)


def _prepares_as(field: Any, plain: Any) -> bool:
    steps = ("to_python", "get_prep_value", "get_db_prep_value", "get_db_prep_save")
    return all(getattr(type(field), step) is getattr(plain, step) for step in steps)


def itself(value: Any) -> Any:
    return value


class StandIn(Combinable):
    """Stands for a value, or for the members of a collection, which for a mapping are its keys.

    It is true, as what it stands for, of which no more is known: it has no length, no members, and refuses comparison.
    """

    def __init__(self, name: str, field: models.Field[Any, Any], *, several: bool = False) -> None:
        self.name, self.field, self.several = name, field, several

    def resolve_expression(self, *args: Any, **how: Any) -> Value:
        if self.several:
            return _Members("(\0, %s\0)", Slot(self.name, self.field, list))
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


class _Members(_Placed):
    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        """Integers are one parameter: so the text, and PostgreSQL's plan of it, is the same for any number of them."""
        if not isinstance(self.value.field, models.IntegerField):
            return self.as_sql(compiler, connection)
        return ANY, [Slot(self.value.name, _Array(list))]


class _Array(models.TextField):  # type: ignore[type-arg]
    """``of``: what of a value are its members."""

    def __init__(self, of: Callable[[Any], Iterable[int]]) -> None:
        super().__init__()
        self.of = of

    def get_db_prep_save(self, value: Any, connection: Any) -> str:
        return f"{{{','.join(map(str, self.of(value)))}}}"


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
        prepare = preparation(self.output_field, connection)
        return f"CASE {column}{cases} END", [prepare(one) for one in _pairs(self.values)]

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        if not isinstance(self.values, StandIn):
            return self.as_sql(compiler, connection)
        column, _ = compiler.compile(self.pk)
        name = self.values.name
        text = f"(%s::bigint[])[array_position(%s::bigint[], {column})]"
        return text, [Slot(name, _Array(dict.values)), Slot(name, _Array(dict.keys))]


def _pairs(values: Mapping[int, int]) -> Iterable[int]:
    return chain.from_iterable(dict(values).items())  # of an empty one, () is left


def per_row(values: Mapping[int, int]) -> Any:
    """An SQL expression that gives each primary key its own integer, to update many rows in one statement."""
    return PerRow(values)


def shape_of(value: Any) -> Any:
    """What of a value decides the text: its type, if a stand-in of that will do; otherwise the value itself."""
    kind = type(value)
    if not value:
        return () if isinstance(value, Collection) and not isinstance(value, str) else value
    if kind in PLAIN:
        return kind
    if isinstance(value, dict):
        member = type(next(iter(value)))
        return dict if member is str else (member,)
    if isinstance(value, str):
        return str
    if isinstance(value, Shaped):
        return value.with_values(*(dict if isinstance(part, dict) else shape_of(part) for part in value.values()))
    return (type(next(iter(value))),) if isinstance(value, Collection) else value


def stand_in(name: str, shape: Any) -> Any:
    if isinstance(shape, type):
        return StandIn(name, FIELDS[shape])
    if isinstance(shape, Shaped):
        return shape.with_values(*(stand_in(f"{name} {i}", part) for i, part in enumerate(shape.values())))
    if isinstance(shape, tuple) and shape:
        return StandIn(name, FIELDS.get(shape[0], FIELDS[str]), several=True)
    return shape
