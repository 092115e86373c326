"""What a run of an order records: progress, a rest, a decision to undo, a postponement."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import Error as AnyDatabaseError
from django.db.models.functions import Now

from contexts.orders import services
from contexts.orders.composed import OrderView
from contexts.orders.models import Order, TimelineEntry, Undo
from contexts.orders.public.contracts import OrderPaymentStatus, OrderStatus
from contexts.orders.public.events import OrderConfirmed
from eci import money
from eci.clock import utcnow
from eci.errors import EciError
from eci.events import Event
from eci.idempotency import Answer, Key
from eci.watch.requests import logger

log = logger(__name__)

ASK_AGAIN = timedelta(seconds=2)
UNKNOWN = "Whether the order stands is not known yet. Repeat the request with its key, or look for its reference."
BEING_PLACED = (OrderStatus.PENDING, OrderStatus.PAYMENT_PENDING)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody waits for this run, with an idempotency key. ``answer`` makes what is remembered for it."""

    key: Key
    answer: Callable[[OrderView], Answer]


@dataclass(kw_only=True)
class Run:
    """One runner's turn at a leased order.

    ``view`` gathers what participants answer, so that the caller's answer needs no reading. ``leased`` is true until
    the lease is given back. ``discarded`` is why the order never was. ``recorded`` is the order as it stood before the
    step that is being walked, for an answer while the database cannot tell.
    """

    view: OrderView
    caller: Caller | None = None
    leased: bool = True
    discarded: EciError | None = None
    recorded: OrderView = field(init=False)

    def __post_init__(self) -> None:
        self.keep()

    def keep(self) -> None:
        self.recorded = replace(self.view, order=copy.copy(self.view.order), timeline=[*self.view.timeline])

    @property
    def order(self) -> Order:
        return self.view.order


def note(run: Run, *, entry: TimelineEntry) -> None:
    run.view.timeline = [*run.view.timeline, entry]


def record(run: Run, *, changes: Mapping[str, Any], event: str) -> None:
    """A step is done; the run goes on."""
    note(run, entry=services.record_progress(order=run.order, changes=changes, event=event))


def confirm(run: Run) -> None:
    """The money is taken: record the pivot; the run goes on."""
    note(run, entry=services.record_confirmed(order=run.order, fact=confirmation(run.order)))


def confirmation(order: Order) -> OrderConfirmed:
    return OrderConfirmed(
        order_id=order.pk,
        order_total=money.text(money.from_minor(order.total_minor, order.currency), order.currency),
        currency=order.currency,
        version=order.version + 1,
    )


def undo(run: Run, *, why: Undo, reason: str) -> None:
    """Decide to undo the order; the run goes on with that."""
    services.record_undo(order=run.order, undo=why, reason=reason)


def refuse(run: Run, *, why: Undo, refusal: EciError) -> None:
    """As ``undo``, because a participant refused: that, with the order's id, is what the caller is told."""
    refusal.details = {**refusal.details, "order_id": run.order.pk}
    services.record_undo(order=run.order, undo=why, reason=refusal.message, refusal=refusal)


def rest(
    run: Run,
    *,
    changes: Mapping[str, Any],
    events: Sequence[str] = (),
    detail: str = "",
    actor: str = services.SYSTEM,
    facts: Sequence[Event] = (),
) -> None:
    """The run ends here, for now or for good. A final answer to the caller is remembered in the same transaction."""
    order = run.order
    at = utcnow()
    final = changes.get("status", order.status) not in BEING_PLACED
    entries = [services.entry(event=event, detail=detail, actor=actor, at=at) for event in events]
    remembered = None
    if run.caller is not None and final:
        remembered = (run.caller.key, run.caller.answer(_after(run.view, changes, entries, at=at)))
    services.record_rest(order=order, changes=changes, entries=entries, at=at, facts=facts, remembered=remembered)
    for entry in entries:
        note(run, entry=entry)
    run.view.answer = remembered[1] if remembered else None
    run.leased = False


def _after(view: OrderView, changes: Mapping[str, Any], entries: list[TimelineEntry], *, at: datetime) -> OrderView:
    """The order as it will stand once ``changes`` are recorded."""
    order = copy.copy(view.order)
    for name, value in {**changes, "updated_at": at}.items():
        setattr(order, name, value)
    return replace(view, order=order, timeline=[*view.timeline, *entries])


def wait_for_provider(run: Run, *, pause: timedelta = ASK_AGAIN) -> None:
    """The payment provider, or staff, has not said what happens: rest, and look again soon."""
    asking = {"next_at": Now() + pause}
    if run.order.status not in BEING_PLACED:
        rest(run, changes=asking)
        return
    pending = {"status": OrderStatus.PAYMENT_PENDING, "payment_status": OrderPaymentStatus.PENDING}
    events = ["payment_pending"] if run.order.status == OrderStatus.PENDING else []
    rest(run, changes=pending | asking, events=events)


def discard(run: Run, *, refusal: EciError) -> None:
    """Nothing is held, so the order never was. Its caller is told the refusal, which is remembered for its key."""
    key = run.caller.key if run.caller is not None else None
    run.discarded = refusal
    services.discard_order(order=run.order, key=key, refusal=refusal)
    run.leased = False


def postpone(run: Run, *, error: Exception, told: bool = False) -> None:
    """The step failed for now; it is walked again later. ``told``: somebody will be told of the order."""
    run.leased = False
    try:
        services.postpone(order=run.order, error=type(error).__name__, told=told)
    except AnyDatabaseError:
        log.warning("postpone_failed", order_id=run.order.pk)  # its lease runs out by itself
