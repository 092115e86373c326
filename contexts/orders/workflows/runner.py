"""Carries one leased order on: a loop over the table of steps, for as long as it holds the lease."""

from __future__ import annotations

from dataclasses import replace

from django.db import Error as AnyDatabaseError

from contexts.orders import selectors, services
from contexts.orders.composed import OrderView
from contexts.orders.models import Step
from contexts.orders.public.contracts import OrderNotFound
from contexts.orders.workflows import STEPS, backward, progress
from contexts.orders.workflows.progress import Caller, Run
from eci.errors import IdempotencyInProgress
from eci.watch import tracing
from eci.watch.requests import continued, lines_about, logger

log = logger(__name__)


def run_for_caller(view: OrderView, *, caller: Caller | None) -> OrderView:
    """Carry the order on as far as it goes now, for somebody who waits; the order as it is then.

    Raises why the order was discarded, or IdempotencyInProgress if nobody knows whether it is, and nothing else: it is
    recorded, so a failure means that it is carried on later.
    """
    run = Run(view=view, caller=caller)
    try:
        _run(run)
    except services.LeaseLost:
        return _as_it_is(run)
    except Exception as error:
        log.warning("order_step_failed", order_id=run.order.pk, step=run.order.step, exc_info=True)
        progress.postpone(run, error=error, told=True)
        return _as_it_is(run)
    if run.discarded is not None:
        raise run.discarded
    return run.view


def _as_it_is(run: Run) -> OrderView:
    """The order as the database has it now, or had it when it last answered, with what participants have said.

    IdempotencyInProgress: it was being discarded, and the database cannot tell whether it is.
    """
    try:
        order = selectors.order(order_id=run.order.pk)
        timeline = selectors.timeline_of(order_ids=[order.pk])[order.pk]
    except OrderNotFound:
        raise run.discarded or OrderNotFound(f"There is no order {run.order.pk}.", order_id=run.order.pk) from None
    except AnyDatabaseError:
        if run.discarded is not None:
            raise IdempotencyInProgress(progress.UNKNOWN) from None
        return run.recorded
    return replace(run.view, order=order, timeline=timeline)


def run_for_nobody(view: OrderView) -> None:
    """Carry the order on; a failure is tried again later."""
    run = Run(view=view)
    with lines_about(run.order.pk, run.order.trace):
        try:
            _run(run)
        except services.LeaseLost:
            log.info("lease_lost")
        except Exception as error:
            log.warning("order_step_failed", step=run.order.step, exc_info=True)
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
            if run.leased:
                run.keep()
        tracing.note({"eci.order.status": order.status})


def _walk(run: Run) -> None:
    order = run.order
    if order.undo and order.step != Step.DONE:
        backward.undo(run)
    else:
        STEPS[order.step](run)
