"""Carries one leased order on: a loop over the table of steps, for as long as it holds the lease."""

from __future__ import annotations

from django.db import Error as AnyDatabaseError

from contexts.orders import composed, services
from contexts.orders.composed import OrderView
from contexts.orders.models import Step
from contexts.orders.workflows import STEPS, backward, progress
from contexts.orders.workflows.progress import Caller, Run
from eci.errors import ContextUnavailable, EciError
from eci.watch import tracing
from eci.watch.requests import continued, logger

log = logger(__name__)


def run_for_caller(view: OrderView, *, caller: Caller | None) -> OrderView:
    """Carry the order on as far as it goes now, for somebody who waits; the order as it is then.

    Raises why the order was discarded. A database or a context that is away: the order is tried again later, and the
    error is raised.
    """
    run = Run(view=view, caller=caller)
    try:
        _run(run)
    except services.LeaseLost:
        return composed.order_view(order_id=run.order.pk)
    except (AnyDatabaseError, ContextUnavailable) as error:
        progress.postpone(run, error=error)
        raise
    if run.discarded is not None:
        raise run.discarded
    return run.view


def run_for_nobody(view: OrderView) -> None:
    """Carry the order on; a failure is tried again later."""
    run = Run(view=view)
    try:
        _run(run)
    except services.LeaseLost:
        log.info("lease_lost", order_id=run.order.pk)
    except Exception as error:
        log.warning("order_step_failed", order_id=run.order.pk, step=run.order.step, exc_info=True)
        progress.postpone(run, error=error)


def _run(run: Run) -> None:
    """One span for the whole run, named after the step it begins with."""
    order = run.order
    about: tracing.Attributes = {
        "eci.context": "orders",
        "eci.order.step": order.step,
        "eci.order.attempts": order.attempts,
    }
    name = f"undo order: {order.undo}" if order.undo else f"order: {order.step}"
    with continued(order.trace or {}, name, about, order_id=order.pk):
        while run.leased:
            _walk(run)
        tracing.note({"eci.order.status": order.status})


def _walk(run: Run) -> None:
    order = run.order
    if order.undo and order.step != Step.DONE:
        backward.undo(run)
        return
    try:
        STEPS[order.step](run)
    except (EciError, AnyDatabaseError) as error:
        if order.step != Step.FULFIL:
            raise
        log.warning("fulfilment_postponed", order_id=order.pk, exc_info=True)
        progress.postpone(run, error=error)  # past the pivot: the order stands, and the rest follows
