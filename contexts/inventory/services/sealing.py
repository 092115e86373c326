"""Sealing the stock ledger: what makes a later change of a movement show (``docs/decisions/0014``).

Every few minutes a task seals the movements that were written since. Each gets a link, whose digest covers it and the
link before it of the same product and warehouse; then a checkpoint signs the running digest of all links. No sale waits
for it. ``verify_ledger.py`` defines the digests, and finds what was changed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import IntegrityError, connections
from django.db.models import Max
from django.db.models.functions import Coalesce

from contexts.inventory.models import LedgerCheckpoint, LedgerHead, LedgerLink, Movement, MovementKind
from contexts.inventory.verify_ledger import SETTLED, digest_of, link_of
from eci import trail
from eci.clock import utcnow
from eci.db import Stale, after_commit, give_way, locked, unit_of_work, writes
from eci.errors import Conflict, InvalidTransition, NotFound
from eci.identity.keys import PrivateKey, PublicKey, derived, read_private, read_publics
from eci.statements import Inserts, per_row
from eci.watch.requests import logger

BATCH = 1000  # movements in one transaction
LOOKED_AT = 10_000  # ids at once
LONGEST = 240  # seconds of one run, after which the next looks for latecomers
QUIET = timedelta(hours=1)  # without a movement, until the next checkpoint
PATIENT = timedelta(seconds=SETTLED) - timedelta(minutes=5)  # with a transaction that writes: then sealing waits
Place = tuple[int, str]  # a product, and the code of a warehouse

log = logger(__name__)
_add_links = Inserts(LedgerLink)
_add_heads = Inserts(LedgerHead)


class CheckpointMissing(Conflict):
    """There are links after the last checkpoint, or heads without one, though all are written in one transaction."""

    code = "checkpoint_missing"


def seal() -> int:
    """Seal what is not sealed yet; returns how many movements that were. CheckpointMissing.

    What is written meanwhile is left to the next run: its place may have a movement that a batch was too early for.
    """
    end = time.monotonic() + LONGEST
    newest: int = Movement.objects.aggregate(newest=Coalesce(Max("pk"), 0))["newest"]
    sealed, after = 0, 0
    while movements := _seal_batch(after=after, upto=newest):
        sealed, after = sealed + len(movements), movements[-1].pk
        if time.monotonic() > end:
            break
        give_way("inventory")
    return sealed


@writes("inventory")
def _seal_batch(*, after: int, upto: int) -> list[Movement]:
    """Seal movements with ids between these, in the order of their ids, and sign a checkpoint.

    In one place that is the order in which they were written, as their writers hold the lock of the stock row. Among
    places it is not: a movement may come to light after one with a higher id, within SETTLED. While a transaction is
    open for nearly as long, nothing is sealed: its movement would be taken for one that was inserted.
    """
    open_for = _longest_writer()  # first, so that who is not seen writing now is no older when the checkpoint is signed
    if open_for > PATIENT:
        log.warning("sealing_waits", open_for=open_for.total_seconds())
        return []
    last = LedgerCheckpoint.objects.order_by("-number").first() or LedgerCheckpoint(
        number=0, links=0, upto=0, digest=""
    )
    if LedgerLink.objects.filter(number__gt=last.links).exists() or last.number == 0 and LedgerHead.objects.exists():
        raise CheckpointMissing(f"The checkpoint of the links after {last.links} is missing.")
    movements = _unsealed(after=max(after, _settled(last)), upto=upto)
    if not movements and (last.number == 0 or last.at > utcnow() - QUIET):
        return []
    try:
        with unit_of_work("inventory"):
            _sign(last, _link(movements, begin=last.links), upto=max([last.upto, *(one.pk for one in movements)]))
    except IntegrityError:  # another worker has sealed the same meanwhile
        raise Stale from None
    return movements


def _longest_writer() -> timedelta:
    """How long the oldest other transaction that has written something is open. Django has no words for that; SQLite
    has one writer."""
    connection = connections["inventory"]
    if connection.vendor != "postgresql":
        return timedelta(0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0] or timedelta(0)


def _unsealed(*, after: int, upto: int) -> list[Movement]:
    """By two ranges of indexes: for an anti-join, PostgreSQL reads all links there are."""
    ids = Movement.objects.filter(pk__lte=upto).order_by("pk").values_list("pk", flat=True)
    while page := list(ids.filter(pk__gt=after)[:LOOKED_AT]):
        links = LedgerLink.objects.filter(movement__gte=page[0], movement__lte=page[-1])
        sealed = set(links.values_list("movement_id", flat=True))
        if found := [pk for pk in page if pk not in sealed][:BATCH]:
            return list(Movement.objects.filter(pk__in=found).order_by("pk"))
        after = page[-1]
    return []


def _settled(last: LedgerCheckpoint) -> int:
    """The id up to which nobody writes any more: it was sealed SETTLED before the last checkpoint."""
    if last.number == 0:
        return 0
    earlier = LedgerCheckpoint.objects.filter(at__lte=last.at - timedelta(seconds=SETTLED))
    return earlier.order_by("-number").values_list("upto", flat=True).first() or 0


def _link(movements: list[Movement], *, begin: int) -> list[LedgerLink]:
    heads = _heads_of({(one.product_id, one.warehouse_id) for one in movements})
    digests = {place: digest for place, (_, digest) in heads.items()}
    links: dict[Place, LedgerLink] = {}
    made = []
    for number, movement in enumerate(movements, begin + 1):
        place = movement.product_id, movement.warehouse_id
        salt = secrets.token_hex(16)
        digests[place] = link_of(digests.get(place, ""), salt, "", facts(movement=movement))
        links[place] = LedgerLink(
            number=number,
            movement_id=movement.pk,
            product_id=movement.product_id,
            warehouse=movement.warehouse_id,
            salt=salt,
            digest=digests[place],
        )
        made.append(links[place])
    _add_links(made)
    _add_heads(
        [
            LedgerHead(product_id=link.product_id, warehouse=link.warehouse, link_id=link.number)
            for place, link in links.items()
            if place not in heads
        ]
    )
    moved = {heads[place][0]: link.number for place, link in links.items() if place in heads}
    LedgerHead.objects.filter(pk__in=moved).update(link=per_row(moved))
    return made


def _heads_of(places: Iterable[Place]) -> dict[Place, tuple[int, str]]:
    """Of each place that has one: its head, and the digest of its last link."""
    rows = LedgerHead.objects.filter(
        product_id__in={product_id for product_id, _ in places}, warehouse__in={code for _, code in places}
    ).values_list("pk", "product_id", "warehouse", "link__digest")
    wanted = set(places)
    return {
        (product_id, code): (pk, digest or "") for pk, product_id, code, digest in rows if (product_id, code) in wanted
    }


def facts(*, movement: Movement) -> dict[str, Any]:
    """The movement as it is sealed."""
    return {
        "id": movement.pk,
        "product_id": movement.product_id,
        "warehouse": movement.warehouse_id,
        "delta": movement.delta,
        "on_hand": movement.on_hand,
        "kind": movement.kind,
        "order_id": movement.order_id,
        "actor": movement.actor,
        "at": exact(moment=movement.at),
        "reason": movement.reason,
        "reference": movement.reference,
    }


def exact(*, moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@writes("inventory")
def erase_text(*, movement_id: int, actor: str) -> None:
    """Erase the reason and reference that staff gave for a count or an adjustment; all else of it stays proven.

    NotFound; InvalidTransition if they are not staff's, or not sealed yet.
    """
    movement = locked(Movement.objects.filter(pk=movement_id)).first()
    if movement is None:
        raise NotFound(f"There is no movement {movement_id}.")
    if movement.kind not in (MovementKind.COUNT, MovementKind.ADJUSTMENT):
        raise InvalidTransition(f"The text of movement {movement_id} was not written by staff.")
    link = LedgerLink.objects.filter(movement=movement).first()
    if link is None:
        raise InvalidTransition(f"Movement {movement_id} is not sealed yet: try again in some minutes.")
    if link.erased:
        return
    erased = digest_of(link.salt, movement.reason, movement.reference)
    LedgerLink.objects.filter(pk=link.pk).update(erased=erased, salt="")
    Movement.objects.filter(pk=movement_id).update(reason="", reference="")
    trail.record(
        "inventory", actor=actor, action="movement.erase_text", thing=f"movement:{movement_id}", after=trail.ERASED
    )


# -- checkpoints ------------------------------------------------------------------------------------------------------


def _sign(last: LedgerCheckpoint, links: list[LedgerLink], *, upto: int) -> None:
    digest = last.digest
    for link in links:
        digest = sha256(f"{digest}{link.digest}".encode()).hexdigest()
    made = LedgerCheckpoint(
        number=last.number + 1, at=utcnow(), links=last.links + len(links), upto=upto, digest=digest
    )
    made.signature = signing_key().sign(json.dumps(signed(checkpoint=made)).encode(), ec.ECDSA(hashes.SHA256())).hex()
    made.save(force_insert=True)
    after_commit(
        "inventory", lambda: log.info("ledger_checkpoint", checkpoint=[*signed(checkpoint=made), made.signature])
    )


def signed(*, checkpoint: LedgerCheckpoint) -> list[Any]:
    """What the signature covers."""
    return [checkpoint.number, exact(moment=checkpoint.at), checkpoint.links, checkpoint.upto, checkpoint.digest]


def signing_key() -> PrivateKey:
    """ImproperlyConfigured."""
    if settings.ECI_LEDGER_KEY:
        return read_private(settings.ECI_LEDGER_KEY.encode())
    return derived(settings.SECRET_KEY, purpose="stock ledger")


def public_keys() -> list[PublicKey]:
    """The keys that checkpoints may be signed with, the present one first. ImproperlyConfigured."""
    return [signing_key().public_key(), *read_publics(settings.ECI_LEDGER_RETIRED_KEYS)]
