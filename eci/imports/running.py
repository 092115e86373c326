"""The worker's side: carry on what is due, on a lease, until it is done or this process dies."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

from eci.db import unit_of_work
from eci.errors import ContextUnavailable
from eci.imports import applying, leases, reading, uploads
from eci.imports.errors import BadFile
from eci.imports.leases import Lease, Lost
from eci.imports.rows import UNDER_WAY, Status, imports_of, lines_of
from eci.watch.requests import logger

log = logger(__name__)

KEPT = timedelta(days=30)  # files and lines, for undoing
ATTEMPTS = 5  # at one stage, before it is given up

_STAGES = {Status.READING: reading.read, Status.APPLYING: applying.apply, Status.UNDOING: applying.undo}
_turn = threading.Lock()  # a worker has few threads, and orders need them


def run_due(context: str) -> int:
    """Carry on the context's imports, one after the other. Returns how many stages came to their end."""
    if not imports_of(context).filter(status__in=UNDER_WAY).exists() or not _turn.acquire(blocking=False):
        return 0
    try:
        done = 0
        while lease := leases.take(context):
            done += _carry_on(lease)
        return done
    finally:
        _turn.release()


def _carry_on(lease: Lease) -> bool:
    about = {"import_id": lease.row.import_id, "kind": lease.row.kind, "stage": lease.row.status}
    try:
        if lease.row.attempts >= ATTEMPTS:
            raise BadFile("This did not come to an end, though it was tried several times. The log says why.")
        _STAGES[Status(lease.row.status)](lease)
    except Lost:
        return False
    except BadFile as problem:
        with suppress(Lost):
            lease.finish(Status.FAILED, error=str(problem))
    except (ContextUnavailable, OperationalError, InterfaceError):  # it is tried until they are back
        lease.give_back(tried=False)
        raise
    except BaseException:
        lease.give_back()
        log.exception("import_stopped", **about)
        raise
    log.info("import_stage_done", **about, rows=lease.row.done)
    return True


def prune(context: str, *, keep: timedelta = KEPT) -> int:
    """Delete files and lines that are too old to be undone, and files that no import has. The imports stay."""
    old = imports_of(context).filter(created_at__lt=Now() - keep).exclude(status__in=UNDER_WAY)
    pruned = 0
    for pk, file in list(old.exclude(pruned=True).values_list("pk", "file")[:100]):
        while ids := list(lines_of(context).filter(import_pk=pk).values_list("pk", flat=True)[:1_000]):
            lines_of(context).filter(pk__in=ids).delete()
        uploads.drop(context, file)
        with unit_of_work(context):
            imports_of(context).filter(pk=pk).update(pruned=True)
        pruned += 1
    uploads.prune(context)
    return pruned
