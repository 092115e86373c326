"""Proof of the stock ledger: what ``verify_ledger.py`` reads, and what became of the last verification."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from contexts.inventory.models import LedgerCheck, LedgerCheckpoint, LedgerHead, LedgerLink, Movement
from contexts.inventory.public import contracts
from contexts.inventory.services.sealing import exact, facts, public_keys, signed
from contexts.inventory.verify_ledger import verify
from eci.clock import iso, utcnow
from eci.db import writes
from eci.statements import reads

PAGE = 2000
LISTED = 100
KEPT = timedelta(days=90)
SHARE = 100  # verifying takes at most one part in so many of the time
SAID = re.compile(r"(?P<movements>\d+) movements, sealed by (?P<checkpoints>\d+) checkpoints, the last of (?P<at>.+)")

Record = dict[str, Any]


@reads
def _last_checkpoint() -> QuerySet[LedgerCheckpoint]:
    return LedgerCheckpoint.objects.order_by("-number")[:1]


@reads
def _last_check() -> QuerySet[LedgerCheck]:
    return LedgerCheck.objects.order_by("-at")[:1]


def records() -> Iterator[Record]:
    """The ledger as ``verify_ledger.py`` reads it: links with their movements, each checkpoint after its last link.

    At the end come links that no checkpoint covers, and movements without a link, though later ones have been sealed.
    In pages, so memory is bounded; what is sealed meanwhile is left out.
    """
    last = _last_checkpoint.first()
    number, upto = (last.number, last.upto) if last else (0, 0)
    links = (one for page in _pages(LedgerLink.objects.all()) for one in _with_movements(page))
    link = next(links, None) if last else None
    checkpoints = _pages(LedgerCheckpoint.objects.filter(number__lte=number))
    for checkpoint in chain.from_iterable(checkpoints):
        while link and link["link"] <= checkpoint.links:
            yield link
            link = next(links, None)
        yield {"checkpoint": [*signed(checkpoint=checkpoint), checkpoint.signature]}
    covered = Subquery(LedgerCheckpoint.objects.order_by("-links").values("links")[:1])
    for page in _pages(LedgerLink.objects.filter(number__gt=Coalesce(covered, -1))):
        yield from _with_movements(page)
    is_sealed = Exists(LedgerLink.objects.filter(movement=OuterRef("pk")))
    for movement in Movement.objects.filter(~is_sealed, pk__lte=upto).order_by("pk").iterator():
        yield {"place": _place(movement.product_id, movement.warehouse_id), "movement": facts(movement=movement)}


def _pages(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """The rows in the order of their numbers: MySQL's driver would fetch all of them at once."""
    after = -1
    while page := list(rows.filter(pk__gt=after).order_by("pk")[:PAGE]):
        yield page
        after = page[-1].pk


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
    ends: dict[str, int] = {}
    kept = LedgerCheck.objects.values_list("verified", flat=True)
    seen = max((movements_in(verified=one) for one in kept), default=0)
    verified, found = verify(_noting_ends(records(), ends), public_keys())
    found += [*_heads_unlike(ends), *_gone_since(verified, seen=seen)]
    return _keep(verified=verified, found=found, milliseconds=round((time.monotonic() - began) * 1000))


def _noting_ends(given: Iterable[Record], ends: dict[str, int]) -> Iterator[Record]:
    """The records, while ``ends`` takes the number of each place's last link."""
    for record in given:
        if "link" in record:
            ends[record["place"]] = record["link"]
        yield record


def _heads_unlike(ends: dict[str, int]) -> Iterator[tuple[str, str]]:
    """The places whose head is missing, or is not their last link: sealing would go on from elsewhere."""
    last, left = max(ends.values(), default=0), ends.copy()
    for page in _pages(LedgerHead.objects.all()):
        later = {head.link_id for head in page if head.link_id is None or head.link_id > last}
        sealed_meanwhile = set(LedgerLink.objects.filter(pk__in=later - {None}).values_list("pk", flat=True))
        for head in page:
            place = _place(head.product_id, head.warehouse)
            if left.pop(place, None) != head.link_id and head.link_id not in sealed_meanwhile:
                yield place, f"its head is link {head.link_id}, and its last one is {ends.get(place, 'missing')}"
    yield from ((place, f"its head is missing; its last link is {number}") for place, number in left.items())


def _gone_since(verified: str, *, seen: int) -> Iterator[tuple[str, str]]:
    """What earlier verifications saw must still be there, ``seen`` movements. The last checkpoint of one that found
    nothing shows whether the ledger was made anew since."""
    sound = last_sound()
    if sound and (said := SAID.fullmatch(sound.verified)) and said["checkpoints"] != "0":
        last = LedgerCheckpoint.objects.filter(pk=said["checkpoints"]).first()
        if last is None or (str(last.links), exact(moment=last.at)) != (said["movements"], said["at"]):
            yield "ledger", f"what was verified at {iso(sound.at)} is no longer there: {sound.verified}"
            return
    if seen > (left := movements_in(verified=verified)):
        yield "ledger", f"an earlier verification saw {seen} movements; {left} are left"


def movements_in(*, verified: str) -> int:
    """How many a verification has seen, by what it said."""
    said = SAID.fullmatch(verified)
    return int(said["movements"]) if said else 0


def unsealed(*, verified: str) -> int:
    """How many movements there are beyond those that a verification has seen, by what it said."""
    return max(0, Movement.objects.count() - movements_in(verified=verified))


@writes("inventory")
def _keep(*, verified: str, found: list[tuple[str, str]], milliseconds: int) -> LedgerCheck:
    findings = [{"subject": subject, "problem": problem} for subject, problem in found[:LISTED]]
    return LedgerCheck.objects.create(
        at=utcnow(), milliseconds=milliseconds, verified=verified, found=len(found), findings=findings
    )


def is_due() -> bool:
    last = _last_check.first()
    return last is None or utcnow() - last.at > SHARE * timedelta(milliseconds=last.milliseconds)


def last_sound() -> LedgerCheck | None:
    """The last verification that found nothing: what was found since was changed after it."""
    return LedgerCheck.objects.filter(found=0).order_by("-at").first()


def state() -> contracts.Ledger:
    sealed, verified = _last_checkpoint.first(), _last_check.first()
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
