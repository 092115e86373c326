"""Beat's work for inventory."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from contexts.inventory import composed, selectors
from contexts.inventory.services import proof, sealing, stock, sweeping
from eci import chores, idempotency, outbox, totals
from eci.db import give_way
from eci.imports import leases, running


@shared_task(name="inventory.sweep_holds")
def sweep_holds() -> None:
    """Tidy up expired reservations, and flag those whose payment takes too long. No sale waits for it."""
    while sweeping.sweep_batch() == sweeping.SWEEP_BATCH:
        give_way("inventory")
    sweeping.cover_owed()
    sweeping.flag_long_paying()


@shared_task(name="inventory.prune")
def prune() -> None:
    """Delete remembered answers and delivered events that are old enough."""
    outbox.prune("inventory")
    idempotency.prune("inventory")
    running.prune("inventory")
    proof.prune()


@shared_task(name="inventory.run_imports")
def run_imports() -> None:
    """Read, apply and undo imports, for as long as one is due."""
    running.run_due("inventory")


chores.wake("inventory.run_imports", when=partial(leases.any_free, "inventory"))


@shared_task(name="inventory.seal_ledger")
def seal_ledger() -> None:
    """Seal the movements that were written since, and sign a checkpoint."""
    sealing.seal()


@shared_task(name="inventory.verify_ledger")
def verify_ledger() -> None:
    """Verify the whole ledger, unless it was lately, for how long that takes."""
    if proof.is_due():
        proof.check()


@shared_task(name="inventory.value_stock")
def value_stock() -> None:
    """Note what the stock is worth today, unless the catalog cannot be asked just now."""
    worth = composed.worth()
    if worth is not None:
        stock.note_worth(worth=worth)


@shared_task(name="inventory.count")
def count() -> None:
    totals.keep("inventory", selectors.count)
