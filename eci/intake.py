"""Bringing rows that are there already to the form in which text comes in today.

``bring_in`` is for data migrations. ``left`` tells what they had to leave as it was, for people to mend.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model, QuerySet

from eci.watch.requests import logger

log = logger(__name__)

_READ, _WRITTEN = 500, 100  # rows at once
_LISTED = 500
_ACTOR, _ACTION = "migration", "text left as it was"  # in the trail


def bring_in(
    rows: QuerySet[Any],
    rules: Mapping[str, Callable[[str], str]],
    *,
    derived: Callable[[Any], Mapping[str, Any]] = lambda row: {},
    unique: tuple[str, str] | None = None,
) -> None:
    """Store each row's text as its rule returns it, and the columns that are ``derived`` from it.

    ``unique``: a text, and the column that it makes, in which no two rows may be equal. A text stays as it is, and a
    line of the log and of the trail names its row, where its rule refuses it (ValueError) or another row has the same:
    people decide.
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
                    setattr(row, unique[0], was[unique[0]])
                    _set(row, {**derived(row), unique[1]: was[unique[1]]})
                    _report(row, unique[0], "Another row has the same.")
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
    trail = row._meta.apps.get_model(row._meta.app_label, "Trail")
    trail._base_manager.using(row._state.db).bulk_create([
        trail(
            actor=_ACTOR,
            action=_ACTION,
            thing=f"{row._meta.model_name}:{row.pk}",
            after={"field": name, "why": reason, "digest": _digest(getattr(row, name))},
        )
    ])  # fmt: skip


def as_far_as_it_goes(rule: Callable[[str], str]) -> Callable[[str], str]:
    """The rule for text that nobody can change any more: what it refuses stays, and nobody is told."""

    def apply(given: str) -> str:
        try:
            return rule(given)
        except ValueError:
            return given

    return apply


# -- what was left ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Left:
    """``field`` of ``thing``, such as ``product:27``, was left as it was."""

    thing: str
    field: str
    why: str


def left(context: str) -> list[Left]:
    """What migrations of the context left as it was and nobody has changed since, the newest ones if there are many."""
    lines = apps.get_model(context, "Trail")._default_manager.filter(actor=_ACTOR, action=_ACTION)
    noted = {
        (line.thing, line.after["field"]): line.after
        for line in lines.order_by("-pk")[:_LISTED]
        if "field" in line.after
    }
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for thing, name in noted:
        model, _, pk = thing.partition(":")
        wanted[model, name].append(pk)
    now = {
        (f"{model}:{pk}", name): value
        for (model, name), pks in wanted.items()
        for pk, value in apps.get_model(context, model)._base_manager.filter(pk__in=pks).values_list("pk", name)
    }
    return [
        Left(thing=thing, field=name, why=about["why"])
        for (thing, name), about in noted.items()
        if (thing, name) in now and _digest(now[thing, name]) == about["digest"]
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
