"""The trail of staff's writes: who wrote what and when, and how it was before and after. Rows are added, never changed.

A context that keeps a trail has the model ``Trail(TrailRow)`` and registers it with ``eci.staff.TrailAdmin``. Its
services call ``record`` inside their unit of work. No task prunes a trail.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, NoReturn

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder as JSONEncoder
from django.db import models
from django.db.models.functions import Now

from eci import money
from eci.activity import Entry, KeepsTrail
from eci.db import alias_of, in_unit_of_work
from eci.statements import Inserts
from eci.statements.rows import QuickModel

_KEPT = (
    "staff:",
    "command:",
    "import:",
)  # how the names of those begin whose writes are kept; open mode's caller is ``open``
ERASED = {"erased": True}
_DONE = {
    "create": "created",
    "update": "changed",
    "change": "changed",
    "receive": "received",
    "count": "counted",
    "adjust": "adjusted",
    "transfer": "moved",
    "erase_text": "text erased",
}


class _Rows(models.QuerySet["TrailRow"]):
    """Rows to add and to read."""

    def update(self, **values: Any) -> NoReturn:
        raise TypeError("A trail is never changed.")

    def delete(self) -> NoReturn:
        raise TypeError("A trail is never deleted.")


class TrailRow(QuickModel):
    """One write. ``before`` and ``after`` are the fields that changed; ``before`` is empty for what is new."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    thing = models.CharField(max_length=200)  # such as ``product:27``
    before = models.JSONField(default=dict, encoder=JSONEncoder)
    after = models.JSONField(default=dict, encoder=JSONEncoder)

    objects = _Rows.as_manager()

    class Meta:
        abstract = True
        verbose_name_plural = "trail"
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["thing"], name="%(app_label)s_trail_thing"),
            models.Index(fields=["actor", "at", "id"], name="%(app_label)s_trail_by"),
            models.Index(fields=["at", "id"], name="%(app_label)s_trail_when"),
        ]

    def __str__(self) -> str:
        return f"{self.action} of {self.thing} by {self.actor}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A trail is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("A trail is never deleted.")


def said(action: str) -> str:
    """An action in words: of ``warehouse.update``, ``warehouse changed``."""
    thing, _, verb = action.rpartition(".")
    return f"{thing} {_DONE.get(verb, verb)}".replace("_", " ").strip()


def in_words(field: str, value: Any, currency: str) -> str:
    """A field's value as people read it; of amounts, in minor units of ``currency``, where that is known."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.endswith("_minor") and isinstance(value, int) and money.is_currency(currency):
        return f"{money.text_of(value, currency)} {currency}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(in_words("", inner, "") for inner in value)
    return str(value)


def name_of(field: str) -> str:
    return field.removesuffix("_minor").replace("_", " ")


def is_kept(actor: str) -> bool:
    """Whether this actor's writes are kept: those of staff, their imports, commands and open mode."""
    return actor == "open" or actor.startswith(_KEPT)


def record(
    context: str,
    *,
    actor: str,
    action: str,
    thing: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a line to the context's trail, inside the unit of work that writes, if the actor's writes are kept.

    ``before`` and ``after`` may be whole rows: only what differs is kept. Two equal rows are no write, and leave no
    line. Without both, ``action`` says it all. Secrets do not belong into either.
    """
    record_all(context, actor=actor, action=action, lines=[(thing, before or {}, after or {})])


def record_all(
    context: str, *, actor: str, action: str, lines: Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """As ``record``, for many things at once: thing, before and after of each."""
    if not in_unit_of_work(alias_of(context)):
        raise RuntimeError(f"a write of {context} was recorded outside of its unit of work")
    if not is_kept(actor):
        return
    row = _trail(context)
    made = [
        row(actor=actor, action=action, thing=thing, before=before, after=after)
        for thing, old, new in lines
        if not old or old != new
        for before, after in [_changed(old, new)]
    ]
    _adds(context)(made)


@functools.cache
def _adds(context: str) -> Inserts[TrailRow]:
    return Inserts(_trail(context))


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if not old:
        return {}, dict(new)
    names = {name for name in old.keys() | new.keys() if name not in old or name not in new or old[name] != new[name]}
    return _of(old, names), _of(new, names)


def _of(row: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in names}


def read(
    context: str, *, actor: str, thing: str, since: datetime | None, until: datetime, below: int, limit: int
) -> tuple[Entry, ...]:
    """See ``eci.activity.KeepsTrail.activity``."""
    found: Any = _trail(context)._default_manager.filter(at__lte=until).exclude(at=until, pk__gte=below)
    if since is not None:
        found = found.filter(at__gte=since)
    if actor:
        found = found.filter(actor=actor)
    if thing:
        found = found.filter(thing__startswith=thing)
    return tuple(
        Entry(
            number=row.pk,
            at=row.at,
            actor=row.actor,
            action=row.action,
            thing=row.thing,
            before=row.before,
            after=row.after,
        )
        for row in found.order_by("-at", "-pk")[:limit]
    )


class TellsTrail(KeepsTrail):
    """What a context's ``local.py`` answers of its trail."""

    context: ClassVar[str]

    def activity(
        self, *, actor: str, thing: str, since: datetime | None, until: datetime, below: int, limit: int
    ) -> tuple[Entry, ...]:
        return read(self.context, actor=actor, thing=thing, since=since, until=until, below=below, limit=limit)


def erase(context: str, *, things: Collection[str]) -> None:
    """Erase what the lines about these things say, because it is about a person. The lines stay."""
    lines = _trail(context)._default_manager.filter(thing__in=things).order_by()
    models.QuerySet.update(lines, before=ERASED, after=ERASED)


def _trail(context: str) -> type[TrailRow]:
    return apps.get_model(context, "Trail")
