"""A file whose rows are added to what is there is not added twice, unless somebody says so."""

from __future__ import annotations

from eci.db import locked
from eci.imports.kinds import Question, kind_named
from eci.imports.rows import ImportRow, State, Status, imports_of, lines_of

AGAIN, YES = "again", "yes"  # an option of the kinds that add
_BOOKED = (Status.APPLYING, Status.APPLIED, Status.UNDOING, Status.FAILED)


def questions(row: ImportRow) -> list[Question]:
    """What is asked where another import has added this very file."""
    earlier = _earlier(row)
    if earlier is None:
        return []
    sentence = f"{_told(earlier)} Is what it says to be added once more?"
    answer = _options(row).get(AGAIN)
    return [Question(name=AGAIN, question=sentence, choices=[YES], answer=answer, needed=True)]


def why_not(row: ImportRow) -> str:
    """Why this import cannot be applied: another one of the same file was, since this one was read. Called in the
    transaction that applies it, and lets imports of the same file do so one after the other."""
    if not _adds(row) or AGAIN in _options(row):
        return ""
    list(locked(imports_of(row._meta.app_label).filter(digest=row.digest).order_by("pk")).values_list("pk"))
    earlier = _earlier(row)
    return f"{_told(earlier)} Read this one again, and say whether it is to be added once more." if earlier else ""


def _earlier(row: ImportRow) -> ImportRow | None:
    """The last other import that has added this very file, and was not undone."""
    if not row.digest or not _adds(row):
        return None
    same = imports_of(row._meta.app_label).filter(digest=row.digest, status__in=_BOOKED).exclude(pk=row.pk)
    return next((one for one in same.order_by("-pk") if _adds(one) and _has_written(one)), None)


def _adds(row: ImportRow) -> bool:
    return kind_named(row.kind).adds(_options(row))


def _has_written(row: ImportRow) -> bool:
    """One that failed may have done so before or while it was applied."""
    lines = lines_of(row._meta.app_label).filter(import_pk=row.pk, state=State.APPLIED)
    return row.status != Status.FAILED or bool(lines.exists())


def _options(row: ImportRow) -> dict[str, str]:
    options: dict[str, str] = row.given.get("options") or {}
    return options


def _told(earlier: ImportRow) -> str:
    when = f" on {earlier.applied_at:%Y-%m-%d}" if earlier.applied_at else ""
    return f"This file was booked by import {earlier.import_id}{when}."
