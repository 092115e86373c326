"""Pure rules of taking money and refunding it."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from contexts.payments.public.contracts import Difference, DifferenceKind, PaymentStatus, Settlement, Total
from eci.money import from_minor, text

CAPTURED = (PaymentStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED)

_LONGEST_PAUSE = 10  # seconds: an unknown outcome is settled within 30 s of the provider answering again
ASK_AGAIN_AFTER = timedelta(minutes=10)  # for a refused refund of an order: a person may have removed the cause
WEBHOOK = "payments.webhook"  # the name of the provider's own messages in the inbox


@dataclass(frozen=True, kw_only=True)
class ChargeAsked:
    """A payment that a caller asks for. ``screened``: if it is suspicious, a person looks at it before the provider
    is asked."""

    order_id: str
    amount_minor: int
    currency: str
    customer_id: int | None
    method: str
    token: str = field(repr=False)
    actor: str = "system"
    screened: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The provider's answer: the operation is done, or refused for ``reason``. ``reference`` names the payment."""

    done: bool
    reference: str
    reason: str = ""


# Keys at the provider come from our rows alone, so an operation that is repeated after a crash has the same key. The
# nonce stands in the row because a restored older copy of the database gives the same ids out again. The refund of a
# cancellation is named by its payment: a restored copy that cancels again asks for the refund that was already made.
_CANCEL = "cancel"  # no random nonce begins so
_NONCE = 16  # characters


def new_nonce() -> str:
    return secrets.token_hex(_NONCE // 2)


def payment_key(payment_id: int, nonce: str) -> str:
    return _key("payment", payment_id, nonce)


def capture_key(payment_id: int, nonce: str) -> str:
    return f"{payment_key(payment_id, nonce)}-capture"


def void_key(payment_id: int, nonce: str) -> str:
    return f"{payment_key(payment_id, nonce)}-void"


def refund_key(refund_id: int, nonce: str, *, payment_id: int) -> str:
    return _key("refund", payment_id if nonce.startswith(_CANCEL) else refund_id, nonce)


def cancel_nonce(*, payment_nonce: str, amount_minor: int, refused: int) -> str:
    """That of the refund of a cancellation. ``refused``: how many refunds of the payment have been refused before."""
    named = f"{payment_nonce} {amount_minor} {refused}"
    return _CANCEL + hashlib.sha256(named.encode()).hexdigest()[: _NONCE - len(_CANCEL)]


def _key(kind: str, row_id: int, nonce: str) -> str:
    """The oldest rows have no nonce: they keep the key by which the provider knows them."""
    return f"{kind}-{row_id}-{nonce}" if nonce else f"{kind}-{row_id}"


def pause_after(attempts: int) -> timedelta:
    """How long to wait before the provider is asked again."""
    return timedelta(seconds=min(2 ** min(attempts, 10), _LONGEST_PAUSE))


def webhook_id(message_id: str) -> uuid.UUID:
    """The inbox's id for a message that the provider sent by itself."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{WEBHOOK}:{message_id}")


def status_after_refunds(*, captured_minor: int, refunded_minor: int) -> PaymentStatus:
    """A captured payment's status once the provider has really refunded ``refunded_minor`` of it."""
    if refunded_minor == 0:
        return PaymentStatus.COMPLETED
    return PaymentStatus.REFUNDED if refunded_minor >= captured_minor else PaymentStatus.PARTIALLY_REFUNDED


# -- payments that a person looks at first ----------------------------------------------------------------------------

SUSPECTED_FRAUD = "suspected_fraud"


@dataclass(frozen=True, kw_only=True)
class Recent:
    """A customer's payments of the last hour."""

    payments: int
    declined: int


@dataclass(frozen=True, kw_only=True)
class RiskLimits:
    """How much a customer may pay at once (None: anything), and how many payments and declines they may have in an
    hour, without a review."""

    amount_minor: int | None
    payments: int
    declined: int


def suspicion(*, amount_minor: int, recent: Recent, limits: RiskLimits) -> str:
    """Why a person should look at this payment before the provider is asked; empty for nearly all payments."""
    if limits.amount_minor is not None and amount_minor > limits.amount_minor:
        return "a large amount"
    if recent.declined >= limits.declined:
        return "many declined payments in an hour"
    if recent.payments >= limits.payments:
        return "many payments in an hour"
    return ""


# -- settling a day with the provider ---------------------------------------------------------------------------------

TAKES, REFUNDS = ("charge", "capture"), ("refund",)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A line of the provider's own list. ``outcome``: done, declined or refused."""

    key: str
    kind: str
    outcome: str
    amount_minor: int
    currency: str
    reference: str
    at: datetime

    @property
    def moved_money(self) -> bool:
        return self.outcome == "done" and self.kind in (*TAKES, *REFUNDS)


@dataclass(frozen=True, kw_only=True)
class Move:
    """Money taken or refunded, as our rows say. ``status`` is the row's; only a ``done`` move counts."""

    key: str
    kind: str
    subject: str
    amount_minor: int
    currency: str
    status: str
    done: bool


def settlement(
    *,
    day: date,
    said: Sequence[Operation],
    said_around: Sequence[Operation],
    booked: Sequence[Move],
    named: Sequence[Move],
) -> Settlement:
    """Compare the provider's list of a day (``said``) with what we booked that day.

    ``said_around``: the provider's list of the days before and after. ``named``: our rows that its keys name, of any
    day.
    """
    differences = [
        *_unbooked(said, {move.key: move for move in (*named, *booked)}),
        *_unsaid(booked, {operation.key: operation for operation in (*said_around, *said)}),
        *_taken_twice(said, said_around),
    ]
    return Settlement(day=day, totals=tuple(_totals(said, booked)), differences=tuple(differences))


def _unbooked(said: Iterable[Operation], moves: dict[str, Move]) -> Iterator[Difference]:
    for operation in said:
        if not operation.moved_money:
            continue
        move = moves.get(operation.key)
        verb = "took" if operation.kind in TAKES else "refunded"
        if move is None:
            problem = f"the provider {verb} {_money(operation)}; we have no such row"
            yield _difference(DifferenceKind.MISSING_HERE, operation, "", problem)
        elif not move.done:
            problem = f"the provider {verb} {_money(operation)}; ours is {move.status}"
            yield _difference(DifferenceKind.STATE_DIFFERS, operation, move.subject, problem)
        elif (operation.amount_minor, operation.currency) != (move.amount_minor, move.currency):
            problem = f"the provider {verb} {_money(operation)}; we booked {_money(move)}"
            yield _difference(DifferenceKind.AMOUNTS_DIFFER, operation, move.subject, problem)


def _unsaid(booked: Iterable[Move], operations: dict[str, Operation]) -> Iterator[Difference]:
    for move in booked:
        operation = operations.get(move.key)
        if operation is not None and operation.moved_money:
            continue
        verb = "taken" if move.kind in TAKES else "refunded"
        says = f"says {operation.outcome}" if operation else "has no such operation"
        yield Difference(
            kind=DifferenceKind.MISSING_THERE,
            key=move.key,
            reference=operation.reference if operation else "",
            subject=move.subject,
            problem=f"we booked {_money(move)} as {verb}; the provider {says}",
        )


def _taken_twice(said: Iterable[Operation], said_around: Iterable[Operation]) -> Iterator[Difference]:
    def takings(operations: Iterable[Operation]) -> list[Operation]:
        return [one for one in operations if one.moved_money and one.kind in TAKES and one.reference]

    of_the_day = takings(said)
    times = Counter(one.reference for one in (*of_the_day, *takings(said_around)))
    for operation in {one.reference: one for one in of_the_day}.values():
        if times[operation.reference] > 1:
            problem = f"the provider took money {times[operation.reference]} times under one reference"
            yield _difference(DifferenceKind.TAKEN_TWICE, operation, "", problem)


def _difference(kind: DifferenceKind, operation: Operation, subject: str, problem: str) -> Difference:
    return Difference(kind=kind, key=operation.key, reference=operation.reference, subject=subject, problem=problem)


def _money(sum_: Operation | Move) -> str:
    return f"{text(from_minor(sum_.amount_minor, sum_.currency), sum_.currency)} {sum_.currency}"


def _totals(said: Sequence[Operation], booked: Sequence[Move]) -> Iterator[Total]:
    moved = [operation for operation in said if operation.moved_money]

    def total(rows: Sequence[Operation | Move], kinds: tuple[str, ...], currency: str) -> tuple[int, int]:
        amounts = [row.amount_minor for row in rows if row.kind in kinds and row.currency == currency]
        return len(amounts), sum(amounts)

    for currency in sorted({row.currency for row in moved} | {row.currency for row in booked}):
        for name, kinds in (("taken", TAKES), ("refunded", REFUNDS)):
            our_count, ours = total(booked, kinds, currency)
            their_count, theirs = total(moved, kinds, currency)
            yield Total(
                name=name,
                currency=currency,
                our_count=our_count,
                ours=from_minor(ours, currency),
                their_count=their_count,
                theirs=from_minor(theirs, currency),
            )
