"""The callers' side of imports: begin one, answer its questions, let it be applied or undone, see what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import IO, Any

from django.db.models import Q

from eci import idempotency, trail
from eci.clock import utcnow
from eci.db import run_in_unit_of_work
from eci.errors import Conflict, NotFound
from eci.idempotency import Key
from eci.imports import again, uploads
from eci.imports.kinds import Kind
from eci.imports.rows import ImportLineRow, ImportRow, Outcome, State, Status, imports_of, lines_of
from eci.imports.running import KEPT
from eci.paging import Paging

READ_AT_ONCE = 1_000
_TOLD = {Status.APPLYING: "let apply", Status.UNDOING: "let undo"}  # in the trail


class QuestionsOpen(Conflict):
    """``details.questions``: the names of those that need an answer."""

    code = "questions_open"


class NothingToApply(Conflict):
    """No row would be written."""

    code = "nothing_to_apply"


class NotReady(Conflict):
    """The import's status does not allow this."""

    code = "invalid_transition"


def find(import_id: str) -> ImportRow:
    """NotFound, also where its context is not in this process."""
    context, _, number = import_id.rpartition("-")
    try:
        found: ImportRow | None = imports_of(context).filter(pk=int(number)).first() if number.isdecimal() else None
    except (LookupError, OverflowError):
        found = None
    if found is None:
        raise NotFound(f"There is no import {import_id[:80]}.")
    return found


def begin(
    kind: Kind, file: IO[bytes], *, filename: str, given: dict[str, Any], actor: str, key: Key | None
) -> ImportRow:
    """Keep the file, and record what is asked together with its key. The worker reads it."""
    upload = uploads.keep(kind.context, file, name=filename)

    def record() -> ImportRow:
        made: ImportRow = imports_of(kind.context).create(
            kind=kind.name,
            actor=actor,
            file=upload.file,
            filename=upload.name,
            size=upload.size,
            digest=upload.digest,
            given=given,
            created_at=utcnow(),
        )
        if key:
            idempotency.claim(kind.context, key, resource=made.import_id)
        return made

    return run_in_unit_of_work(kind.context, record)


def answer(row: ImportRow, *, mapping: dict[str, Any], options: dict[str, Any]) -> ImportRow:
    """Read the file again, with these answers beside the earlier ones. NotReady."""
    taken = {one for one in mapping.values() if one}  # a field is the column that was said last
    earlier = {column: one for column, one in row.given.get("mapping", {}).items() if one not in taken}
    given = {
        "mapping": {**earlier, **mapping},
        "options": {**row.given.get("options", {}), **options},
    }
    context = row._meta.app_label

    def change() -> ImportRow:
        begun = {"done": 0, "row_count": 0, "position": 0, "attempts": 0, "counts": {}, "error": ""}
        free = {"lease_owner": "", "lease_until": None}
        rows = imports_of(context).filter(pk=row.pk, status__in=(Status.READING, Status.READY, Status.FAILED))
        if not rows.filter(applied_at=None, pruned=False).update(given=given, status=Status.READING, **begun, **free):
            raise NotReady(
                "Only an import that has not been applied can be read again.", status=find(row.import_id).status
            )
        if _applied(row).exists():
            raise NotReady("Part of this import has been applied: undo it first.", status=Status.FAILED)
        lines_of(context).filter(import_pk=row.pk).delete()
        return find(row.import_id)

    return run_in_unit_of_work(context, change)


def apply(row: ImportRow, *, actor: str) -> ImportRow:
    """Let the worker write the lines. Done or begun already: the import as it is. NotReady, QuestionsOpen,
    NothingToApply."""
    if row.status in (Status.APPLYING, Status.APPLIED):
        return row
    unanswered = open_questions(row)
    if row.status == Status.READY and unanswered:
        raise QuestionsOpen(f"Answer first: {', '.join(unanswered)}.", questions=unanswered)
    if row.status == Status.READY and (why := why_not_applied(row)):
        raise NothingToApply(why)
    total = sum(row.counts.get(outcome, 0) for outcome in Outcome)
    return _start(row, Status.READY, Status.APPLYING, actor, position=0, done=0, row_count=total)


def open_questions(row: ImportRow) -> list[str]:
    """The names of those without whose answers nothing is read."""
    return [one["name"] for one in row.questions if one["needed"] and one["answer"] is None]


def why_not_applied(row: ImportRow) -> str:
    """Why a READY import has nothing to write; empty if it has. Rows that are the same are judged again."""
    if any(row.counts.get(outcome) for outcome in (Outcome.NEW, Outcome.CHANGED, Outcome.SAME)):
        return ""
    return "No row of this file can be written. Say which of its columns is what, or send it again once it is mended."


def undo(row: ImportRow, *, actor: str) -> ImportRow:
    """Let the worker take back what the import did, or the part of it that was done when it failed. Done or begun
    already: the import as it is. NotReady."""
    if row.status in (Status.UNDOING, Status.UNDONE):
        return row
    if row.status == Status.APPLIED and (row.pruned or row.applied_at is None or row.applied_at < utcnow() - KEPT):
        raise NotReady(f"An import can be undone for {KEPT.days} days.", status=row.status)
    last = lines_of(row._meta.app_label).filter(import_pk=row.pk).order_by("-position").first()
    before = Status.FAILED if row.status == Status.FAILED and _applied(row).exists() else Status.APPLIED
    return _start(row, before, Status.UNDOING, actor, position=last.position + 1 if last else 0, done=0)


def _applied(row: ImportRow) -> Any:
    return lines_of(row._meta.app_label).filter(import_pk=row.pk, state=State.APPLIED)


def _start(row: ImportRow, before: Status, after: Status, actor: str, **begun: int) -> ImportRow:
    context = row._meta.app_label
    free = {"lease_owner": "", "lease_until": None, "attempts": 0}

    def start() -> ImportRow:
        if after == Status.APPLYING and (why := again.why_not(row)):
            raise QuestionsOpen(why, questions=[again.AGAIN])
        if not imports_of(context).filter(pk=row.pk, status=before).update(status=after, **begun, **free):
            now = find(row.import_id)
            if now.status == after:
                return now
            raise NotReady(f"This import is {now.status}: that needs one that is {before}.", status=now.status)
        facts = {"file": row.filename, **row.counts} if after == Status.APPLYING else {"file": row.filename}
        trail.record(context, actor=actor, action=_TOLD[after], thing=f"import:{row.import_id}", after=facts)
        return find(row.import_id)

    return run_in_unit_of_work(context, start)


def forget(context: str, *, kind: str, words: Mapping[str, str]) -> None:
    """Erase what imports say of the things with these keys, because they are people. Their files go too. So do rows of
    this kind that were refused and have a person's word in a cell: what they are of was not understood. Of others such
    cells go."""
    lines, imports = lines_of(context), imports_of(context)
    kinds = dict(imports.filter(pruned=False).values_list("pk", "kind"))
    told = lines.filter(import_pk__in=[pk for pk, one in kinds.items() if one == kind], cells__isnull=False)
    told = told.filter(reduce(or_, (Q(cells__icontains=word) for word in words.values())))
    any_word = "|".join(map(re.escape, words.values()))
    whole = re.compile(rf"(?<![\w.+-])(?:{any_word})(?![\w.-])", re.IGNORECASE)
    refused = told.filter(outcome=Outcome.REFUSED).values_list("pk", "cells")
    theirs = [pk for pk, cells in refused if any(map(whole.search, cells))]
    theirs += lines.filter(import_pk__in=list(kinds), key__in=list(words)).values_list("pk", flat=True)
    gone = lines.filter(pk__in=theirs)
    for file in list(
        imports.filter(pk__in=list(gone.values_list("import_pk", flat=True).distinct())).values_list("file", flat=True)
    ):
        uploads.drop(context, file)
    gone.filter(state=State.READ).update(outcome=Outcome.SKIPPED)  # there is nothing left to apply
    told.exclude(outcome=Outcome.REFUSED).update(cells=None)
    gone.update(key="", values={}, changes={}, messages=[], cells=None)


def rows(paging: Paging, row: ImportRow, *, outcome: str = "", state: str = "") -> list[ImportLineRow]:
    """One page of the import's lines in the order of the file, and one more when more follow."""
    return paging.slice(lines_in(row, outcome=outcome, state=state))


def all_rows(row: ImportRow, *, outcome: str = "", state: str = "") -> Iterator[ImportLineRow]:
    """All of them, read piece by piece."""
    position = 0
    while found := list(
        lines_in(row, outcome=outcome, state=state).filter(position__gt=position).order_by("position")[:READ_AT_ONCE]
    ):
        yield from found
        position = found[-1].position


def lines_in(row: ImportRow, *, outcome: str, state: str) -> Any:
    lines = lines_of(row._meta.app_label).filter(import_pk=row.pk)
    if outcome == "warned":
        lines = lines.filter(warned=True)
    elif outcome:
        lines = lines.filter(outcome=outcome)
    return lines.filter(state=state) if state else lines
