"""A compiled text, its parameters, and the way of both to the database and of rows back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple, TypeVar

from eci.db import ContextRouter
from eci.statements.stand_ins import ANY, Slot, itself, preparation

R = TypeVar("R")

databases = ContextRouter()  # Django's asks a list of such for each statement
KEPT = 128  # shapes of one statement, and texts of one shape


class Text:
    """A text with slots. What stands between two NULs is repeated for each member of a collection."""

    def __init__(self, sql: str, params: Sequence[Any], connection: Any) -> None:
        self._pieces = sql.replace(f" IN {ANY}", f" = {ANY}").split("\0")
        self._params = [
            (part.name, preparation(part.field, connection), part.spread)
            if isinstance(part, Slot)
            else (None, part, None)
            for part in params
        ]
        self._of_lengths = lru_cache(KEPT)(self._written)

    def fill(self, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        params: list[Any] = []
        lengths = []
        for name, prepare, spread in self._params:
            if name is None:
                params.append(prepare)
            elif spread is None:
                params.append(prepare(values[name]))
            else:
                params += spread(values[name]) if prepare is itself else map(prepare, spread(values[name]))
                lengths.append(len(values[name]))
        return self._of_lengths(*lengths), params

    def _written(self, *lengths: int) -> str:
        pieces = list(self._pieces)
        for place, length in zip(range(1, len(pieces), 2), lengths, strict=True):
            pieces[place] = (pieces[place] * length).removeprefix(", ")
        return "".join(pieces)


# -- the way there and back --------------------------------------------------------------------------------------------


def is_watched(connection: Any) -> bool:
    """Whether somebody looks on (traces, query logs, counters), who is shown each statement by Django's own cursor."""
    return bool(connection.execute_wrappers or connection.force_debug_cursor or connection.counts)


def run(connection: Any, sql: str, params: Sequence[Any], answer: Callable[[Any], R]) -> R:
    """``answer`` of the cursor that has executed this."""
    if is_watched(connection):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return answer(cursor)
    if connection.connection is None or not connection.health_check_done:
        connection.close_if_health_check_failed()
        connection.ensure_connection()
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        cursor = connection.cursor_for(sql)
        cursor.execute(sql, params)
        return answer(cursor)


def write(connection: Any, sql: str, params: Sequence[Any], answer: Callable[[Any], R]) -> R:
    """As ``run``. What fails ends the transaction, as in ``transaction.mark_for_rollback_on_error``."""
    try:
        return run(connection, sql, params, answer)
    except Exception as error:
        if connection.in_atomic_block:
            connection.needs_rollback, connection.rollback_exc = True, error
        raise


def send_along(connection: Any, sql: str, params: Sequence[Any]) -> None:
    """As ``write``, with the transaction's next statement or its COMMIT; at once where there is none, or somebody looks
    on."""
    if is_watched(connection) or not connection.in_atomic_block:
        write(connection, sql, params, count)
        return
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        connection.send_along(sql, params)


fetched = methodcaller("fetchall")
count = attrgetter("rowcount")


class Converters(NamedTuple):
    """By place in a row: what makes of a value what a field has, given the value alone, or Django's converters."""

    quick: Sequence[tuple[int, Callable[[Any], Any]]]
    others: Sequence[tuple[int, Sequence[Any], Any]]


def converters_of(compiler: Any, columns: Sequence[Any]) -> Converters | None:
    """None where nothing needs to be converted."""
    known = compiler.connection.quick_converters
    quick, others = [], []
    for place, (converters, expression) in compiler.get_converters(columns).items():
        [first, *more] = converters
        if not more and first.__name__ in known:
            quick.append((place, known[first.__name__]))
        else:
            others.append((place, converters, expression))
    return Converters(quick, others) if quick or others else None


def converted(rows: Iterable[Any], converters: Converters, connection: Any) -> list[list[Any]]:
    """No converter of Django's or ours makes anything of NULL."""
    made = list(map(list, rows))
    for place, convert in converters.quick:
        for row in made:
            if row[place] is not None:
                row[place] = convert(row[place])
    for place, several, expression in converters.others:
        for row in made:
            if row[place] is not None:
                for one in several:
                    row[place] = one(row[place], expression, connection)
    return made
