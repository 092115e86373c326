"""The rows of an import, in the database of the context that owns its kind."""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder as JSONEncoder
from django.db import models
from django.db.models.functions import Now

from eci.statements import Inserts
from eci.statements.rows import QuickModel

ACTOR = "import:"


class Status(StrEnum):
    READING = "READING"
    READY = "READY"
    APPLYING = "APPLYING"
    APPLIED = "APPLIED"
    UNDOING = "UNDOING"
    UNDONE = "UNDONE"
    FAILED = "FAILED"


UNDER_WAY = (Status.READING, Status.APPLYING, Status.UNDOING)


class Outcome(StrEnum):
    """What a line does, or did. ``SKIPPED``: it is no row of its own, such as one that only has a further picture."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    REFUSED = "refused"
    SKIPPED = "skipped"


class State(StrEnum):
    """What became of a line. ``KEPT``: it could not be undone, because somebody has changed it since."""

    READ = "read"
    APPLIED = "applied"
    UNDONE = "undone"
    KEPT = "kept"


class ImportRow(models.Model):
    """One import.

    ``given`` is what its sender said: ``mapping`` and ``options``. ``detected``, ``questions`` and ``notes`` are what
    was found. ``done`` of ``row_count`` rows is how far the stage of ``status`` is; ``position`` the last line it did.
    """

    kind = models.CharField(max_length=30)
    status = models.CharField(max_length=10, default=Status.READING)
    actor = models.CharField(max_length=200)
    file = models.UUIDField()
    filename = models.CharField(max_length=255, blank=True, default="")
    size = models.BigIntegerField()
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")  # of the file: SHA-256
    given = models.JSONField(default=dict)
    detected = models.JSONField(default=dict)
    questions = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    row_count = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=40, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)
    pruned = models.BooleanField(default=False)  # its file and lines are gone

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["status"], name="%(app_label)s_import_status"),
            models.Index(fields=["created_at"], name="%(app_label)s_import_age"),
            models.Index(fields=["digest"], name="%(app_label)s_import_digest"),
        ]

    @property
    def import_id(self) -> str:
        """Unique over all contexts: it begins with the one that has the import."""
        return f"{self._meta.app_label}-{self.pk}"

    @property
    def writes_as(self) -> str:
        """The actor of what it writes."""
        return f"{ACTOR}{self.import_id}"


class ImportLineRow(QuickModel):
    """One row of the file. ``line`` is where it stands there, ``position`` its number among the import's lines.

    ``values`` are the fields as they were understood; ``changes`` is ``{field: [old, new]}``; ``cells`` are the texts
    of a row that was refused or warned about, as they stood, to be given back.
    """

    import_pk = models.BigIntegerField()
    position = models.PositiveIntegerField()
    line = models.PositiveIntegerField()
    key = models.CharField(max_length=255, blank=True, default="")
    outcome = models.CharField(max_length=10)
    state = models.CharField(max_length=10, default=State.READ)
    warned = models.BooleanField(default=False)
    values = models.JSONField(default=dict, encoder=JSONEncoder)
    changes = models.JSONField(default=dict, encoder=JSONEncoder)
    messages = models.JSONField(default=list)
    cells = models.JSONField(null=True)

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["import_pk", "position"], name="%(app_label)s_line_position"),
            models.Index(fields=["import_pk", "outcome", "position"], name="%(app_label)s_line_outcome"),
            models.Index(fields=["import_pk", "key"], name="%(app_label)s_line_key"),
        ]


class ImportPieceRow(models.Model):
    """A piece of a file."""

    file = models.UUIDField()
    number = models.PositiveIntegerField()
    content = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="%(app_label)s_import_piece")]
        indexes = [models.Index(fields=["created_at"], name="%(app_label)s_piece_age")]


@functools.cache
def adds_lines(context: str) -> Inserts[ImportLineRow]:
    return Inserts(lines_of(context).model)


@functools.cache
def changes_lines(context: str) -> Inserts[ImportLineRow]:
    return Inserts(lines_of(context).model, replaces=("outcome", "changes", "messages", "state"))


def imports_of(context: str) -> Any:
    return apps.get_model(context, "Import")._default_manager


def lines_of(context: str) -> Any:
    return apps.get_model(context, "ImportLine")._default_manager


def pieces_of(context: str) -> Any:
    return apps.get_model(context, "ImportPiece")._default_manager
