"""Bringing rows that are there already to the form in which text comes in today. For data migrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import Model, QuerySet

from eci.watch.requests import logger

log = logger(__name__)

_READ, _WRITTEN = 500, 100  # rows at once


def bring_in(
    rows: QuerySet[Any],
    rules: Mapping[str, Callable[[str], str]],
    *,
    derived: Callable[[Any], Mapping[str, Any]] = lambda row: {},
    unique: tuple[str, str] | None = None,
) -> None:
    """Store each row's text as its rule returns it, and the columns that are ``derived`` from it.

    ``unique``: a text, and the column that it makes, in which no two rows may be equal. A text stays as it is, and a
    line of the log names its row, where its rule refuses it (ValueError) or another row has the same: people decide.
    A row whose text changed gets the next ``version``, if it has one.
    """
    others = rows.model._base_manager.using(rows.db)
    for chunk in _chunks(rows):
        before = {row.pk: _values(row) for row in chunk}
        taken = set()
        for row in chunk:
            was = before[row.pk]
            _apply(row, rules)
            _set(row, derived(row))
            if unique and getattr(row, unique[1]) != was[unique[1]]:
                key = getattr(row, unique[1])
                if key in taken or others.filter(**{unique[1]: key}).exists():
                    _report(row, unique[0], "Another row has the same.")
                    setattr(row, unique[0], was[unique[0]])
                    _set(row, {**derived(row), unique[1]: was[unique[1]]})
                taken.add(key)
            if hasattr(row, "version") and any(getattr(row, name) != was[name] for name in rules):
                row.version += 1
        changed = [row for row in chunk if _values(row) != before[row.pk]]
        columns = {name for row in changed for name, value in _values(row).items() if value != before[row.pk][name]}
        if changed:
            others.bulk_update(changed, sorted(columns), batch_size=_WRITTEN)


def _chunks(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """All rows by primary key. A cursor that stayed open would also see what is written meanwhile."""
    chunk = list(rows.order_by("pk")[:_READ])
    while chunk:
        yield chunk
        chunk = list(rows.filter(pk__gt=chunk[-1].pk).order_by("pk")[:_READ])


def _apply(row: Model, rules: Mapping[str, Callable[[str], str]]) -> None:
    for name, rule in rules.items():
        try:
            setattr(row, name, rule(getattr(row, name)))
        except ValueError as error:
            _report(row, name, str(error))


def _set(row: Model, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _values(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _report(row: Model, name: str, reason: str) -> None:
    log.warning("text_left_as_it_was", item=f"{row._meta.db_table}.{name}", id=row.pk, error=reason)
