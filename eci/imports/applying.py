"""What was read is written, or taken back: in pieces, each one transaction together with the marks of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from functools import cache, partial
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.db.models.functions import Now

from eci.db import run_in_unit_of_work
from eci.errors import ContextUnavailable
from eci.imports import uploads
from eci.imports.kinds import Kind, Verdict, kind_named, refused
from eci.imports.leases import Lease, Lost
from eci.imports.reading import keep_cells
from eci.imports.rows import ImportLineRow, Outcome, State, Status, changes_lines, lines_of
from eci.statements import Change, Changes, Reads, change, changes, reads
from eci.watch.requests import logger

log = logger(__name__)

PIECE = 250  # lines in one transaction
_WRITES = (Outcome.NEW, Outcome.CHANGED, Outcome.SAME)
_OURS = "Something went wrong on our side with this row."

T = TypeVar("T")
Step = Callable[[Lease, Kind, list[ImportLineRow]], None]
Broken = Callable[[Lease, list[ImportLineRow]], None]


def apply(lease: Lease) -> None:
    """Write the lines of an import that is APPLYING, from where an earlier worker stopped. Lost."""
    kind = kind_named(lease.row.kind)
    with ThreadPoolExecutor(1) as thread:
        pieces = _pieces(lease, kind, thread)
        for lines, ahead in _with_the_next(pieces) if kind.makes_ahead else pieces:
            _together_or_singly(lease, kind, lines, partial(_write, ahead=_made(ahead)), _refuse)
    keep_cells(lease)
    lease.finish(Status.APPLIED, applied_at=Now(), done=lease.row.row_count)
    uploads.drop(lease.context, lease.row.file)  # its lines have what is needed to undo it


def _pieces(lease: Lease, kind: Kind, thread: ThreadPoolExecutor) -> Iterator[tuple[list[ImportLineRow], Future[Any]]]:
    """What is left, each piece with what the kind makes of it beforehand."""
    position = lease.row.position
    while lines := _lines_between(lease, position + 1, position + PIECE):
        new = [line.values for line in lines if line.outcome == Outcome.NEW]
        yield lines, thread.submit(kind.ahead, new)
        position = lines[-1].position


def _made(ahead: Future[Any]) -> Any:
    """What breaks here breaks again where it is written, and one row at a time."""
    return None if ahead.exception() else ahead.result()


def _with_the_next(pieces: Iterator[T]) -> Iterator[T]:
    """Each piece, when the one after it is known: that is made ready while the database is busy with this one."""
    this = next(pieces, None)
    while this is not None:
        after = next(pieces, None)
        yield this
        this = after


def undo(lease: Lease) -> None:
    """Take back what an import did, the last line first. Lost."""
    kind = kind_named(lease.row.kind)
    while lines := _lines_between(lease, lease.row.position - PIECE, lease.row.position - 1)[::-1]:
        _together_or_singly(lease, kind, lines, _take_back, _keep)
    lease.finish(Status.UNDONE, undone_at=Now(), done=lease.row.row_count)


def _lines_between(lease: Lease, first: int, last: int) -> list[ImportLineRow]:
    """By both ends. Given one and a limit, PostgreSQL sorts all that are left, as long as it takes them for few."""
    return _lines(lease.context)(import_pk=lease.row.pk, first=first, last=last)


@cache
def _lines(context: str) -> Reads[..., ImportLineRow]:
    @reads
    def lines_between(*, import_pk: int, first: int, last: int) -> QuerySet[ImportLineRow]:
        lines: QuerySet[ImportLineRow] = lines_of(context).filter(import_pk=import_pk, position__range=(first, last))
        return lines.order_by("position")

    return lines_between


@cache
def _marks(context: str) -> Changes[...]:
    @changes
    def mark(*, ids: Collection[int], state: str) -> Change:
        return change(lines_of(context).filter(pk__in=ids), state=state)

    return mark


def _together_or_singly(lease: Lease, kind: Kind, lines: list[ImportLineRow], step: Step, broken: Broken) -> None:
    """All of them in one transaction. If one breaks it, each has its own, and ``broken`` marks the one."""
    try:
        step(lease, kind, lines)
    except (Lost, OperationalError, InterfaceError, ContextUnavailable):
        raise
    except Exception as error:
        at = lines[0].position
        log.warning("import_piece_failed", import_id=lease.row.import_id, position=at, exc_info=error)
        if len(lines) == 1:
            run_in_unit_of_work(lease.context, lambda: broken(lease, lines))
            return
        for line in lines:
            _together_or_singly(lease, kind, [line], step, broken)


def _refuse(lease: Lease, lines: list[ImportLineRow]) -> None:
    _mark(lease, lines, [(line, refused(_OURS)) for line in lines])


def _keep(lease: Lease, lines: list[ImportLineRow]) -> None:
    _mark_undone(lease, lines, [(line, f"Kept. {_OURS}") for line in lines])


def _write(lease: Lease, kind: Kind, lines: list[ImportLineRow], *, ahead: Any) -> None:
    todo = [line for line in lines if line.outcome in _WRITES]
    rows = [line.values for line in todo]
    prepared = kind.prepare(rows, ahead) if rows else None

    def write() -> None:
        verdicts = kind.write(rows, prepared, actor=lease.row.writes_as) if rows else []
        _mark(lease, lines, list(zip(todo, verdicts, strict=True)))

    run_in_unit_of_work(lease.context, write)


def _mark(lease: Lease, lines: list[ImportLineRow], results: list[tuple[ImportLineRow, Verdict]]) -> None:
    """Say of each line what became of it. Most became what was foreseen."""
    counts = Counter(lease.row.counts)
    applied, others = [], []
    for line, verdict in results:
        messages = [*line.messages, *(one for one in verdict.messages if one not in line.messages)]
        state = State.READ if verdict.outcome == Outcome.REFUSED else State.APPLIED
        if (line.outcome, line.changes, line.messages) == (verdict.outcome, verdict.changes, messages):
            if state == State.APPLIED:
                applied.append(line.pk)
            continue
        counts[line.outcome] -= 1
        counts[verdict.outcome] += 1
        other = copy(line)  # the transaction may be repeated
        other.outcome, other.changes, other.messages, other.state = verdict.outcome, verdict.changes, messages, state
        others.append(other)
    _advance(lease, lines, counts)
    _marks(lease.context)(ids=applied, state=State.APPLIED.value)
    changes_lines(lease.context)(others)


def _take_back(lease: Lease, kind: Kind, lines: list[ImportLineRow]) -> None:
    todo = [line for line in lines if line.state == State.APPLIED and line.outcome != Outcome.SAME]
    prepared = kind.prepare_restoring(todo) if todo else None

    def restore() -> None:
        why = kind.restore(todo, prepared, actor=lease.row.writes_as) if todo else []
        _mark_undone(lease, lines, list(zip(todo, why, strict=True)))

    run_in_unit_of_work(lease.context, restore)


def _mark_undone(lease: Lease, lines: list[ImportLineRow], results: list[tuple[ImportLineRow, str]]) -> None:
    """Say of each line that it is taken back, or why it stays as it is."""
    counts = Counter(lease.row.counts)
    undone, kept = [], []
    for line, why in results:
        if not why:
            undone.append(line.pk)
            continue
        other = copy(line)
        other.state, other.messages = State.KEPT, [*line.messages, why]
        kept.append(other)
    counts.update(undone=len(undone), kept=len(kept))
    _advance(lease, lines, counts)
    _marks(lease.context)(ids=undone, state=State.UNDONE.value)
    changes_lines(lease.context)(kept)


def _advance(lease: Lease, lines: list[ImportLineRow], counts: Counter[str]) -> None:
    """These lines are done. The import's row says so in the very transaction that does them."""
    lease.advance(position=lines[-1].position, done=lease.row.done + len(lines), counts=dict(counts))
