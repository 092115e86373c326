"""Proof of the stock ledger: what ``verify_ledger.py`` reads, and what became of the last verification."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from contexts.inventory.models import LedgerCheck, LedgerCheckpoint, LedgerLink, Movement
from contexts.inventory.public import contracts
from contexts.inventory.services.sealing import facts, public_keys, signed
from contexts.inventory.verify_ledger import verify
from eci.clock import utcnow
from eci.db import writes

PAGE = 2000
LISTED = 100
KEPT = timedelta(days=90)
SHARE = 100  # verifying takes at most one part in so many of the time

Record = dict[str, Any]


def records() -> Iterator[Record]:
    """The ledger as ``verify_ledger.py`` reads it: links with their movements, each checkpoint after its last link.

    At the end come movements without a link, though later ones have been sealed. In pages, so memory is bounded; what
    is sealed meanwhile is left out.
    """
    last = LedgerCheckpoint.objects.order_by("-number").first()
    if last is None:
        return
    links = (one for page in _pages(LedgerLink.objects.all()) for one in _with_movements(page))
    link = next(links, None)
    checkpoints = _pages(LedgerCheckpoint.objects.filter(number__lte=last.number))
    for checkpoint in chain.from_iterable(checkpoints):
        while link and link["link"] <= checkpoint.links:
            yield link
            link = next(links, None)
        yield {"checkpoint": [*signed(checkpoint=checkpoint), checkpoint.signature]}
    covered = LedgerCheckpoint.objects.order_by("-links").values("links")[:1]
    yield from _with_movements(list(LedgerLink.objects.filter(number__gt=covered).order_by("number")[:PAGE]))
    is_sealed = Exists(LedgerLink.objects.filter(movement=OuterRef("pk")))
    for movement in Movement.objects.filter(~is_sealed, pk__lte=last.upto).order_by("pk").iterator():
        yield {"place": _place(movement.product_id, movement.warehouse_id), "movement": facts(movement=movement)}


def _pages(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The rows in the order of their numbers: MySQL's driver would fetch all of them at once."""
    after = 0
    while page := list(rows.filter(number__gt=after).order_by("number")[:PAGE]):
        yield page
        after = page[-1].number


def _with_movements(links: list[LedgerLink]) -> Iterator[Record]:
    movements = Movement.objects.in_bulk([link.movement_id for link in links])
    for link in links:
        movement = movements.get(link.movement_id)
        yield {
            "link": link.number,
            "id": link.movement_id,
            "place": _place(link.product_id, link.warehouse),
            "salt": link.salt,
            "erased": link.erased,
            "digest": link.digest,
            "movement": facts(movement=movement) if movement else None,
        }


def _place(product_id: int, warehouse: str) -> str:
    return f"product {product_id} in {warehouse}"


# -- verification -----------------------------------------------------------------------------------------------------


def check() -> LedgerCheck:
    """Verify the whole ledger, and keep what was found."""
    began = time.monotonic()
    verified, found = verify(records(), public_keys())
    return _keep(verified=verified, found=found, milliseconds=round((time.monotonic() - began) * 1000))


@writes("inventory")
def _keep(*, verified: str, found: list[tuple[str, str]], milliseconds: int) -> LedgerCheck:
    findings = [{"subject": subject, "problem": problem} for subject, problem in found[:LISTED]]
    return LedgerCheck.objects.create(
        at=utcnow(), milliseconds=milliseconds, verified=verified, found=len(found), findings=findings
    )


def is_due() -> bool:
    last = LedgerCheck.objects.order_by("-at").first()
    return last is None or utcnow() - last.at > SHARE * timedelta(milliseconds=last.milliseconds)


def last_sound() -> LedgerCheck | None:
    """The last verification that found nothing: what was found since was changed after it."""
    return LedgerCheck.objects.filter(found=0).order_by("-at").first()


def state() -> contracts.Ledger:
    sealed = LedgerCheckpoint.objects.order_by("-number").first()
    verified = LedgerCheck.objects.order_by("-at").first()
    return contracts.Ledger(
        sealed=sealed.links if sealed else 0,
        sealed_at=sealed.at if sealed else None,
        verified_at=verified.at if verified else None,
        findings=tuple(contracts.Finding(**one) for one in verified.findings) if verified else (),
    )


@writes("inventory")
def prune() -> None:
    """Forget old verifications, but for the last that found nothing."""
    kept = last_sound()
    LedgerCheck.objects.filter(at__lt=utcnow() - KEPT).exclude(pk=kept.pk if kept else 0).delete()
