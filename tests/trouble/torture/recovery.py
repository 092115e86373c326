"""What a fresh process does after the others have died: time has passed, and everything that is due is done."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.db.models.functions import Now

from contexts.inventory.models import Movement
from contexts.inventory.services import proof, sealing
from contexts.inventory.tasks import sweep_holds
from contexts.inventory.verify_ledger import verify
from contexts.notifications.models import Notification
from contexts.notifications.tasks import send_due
from contexts.orders.models import Order, Return
from contexts.orders.workflows.recovery import recover
from contexts.payments.domain import ASK_AGAIN_AFTER
from contexts.payments.models import Payment, Refund
from contexts.payments.tasks import settle_unknown
from eci.outbox import relay_once

MANY = 30  # rounds: whatever is unfinished then never ends, and the judge will say so


def let_time_pass() -> int:
    """Leases run out and what waits is due, but for the deadlines of payments; how much there was that waited."""
    unfinished = Order.objects.exclude(next_at=None).exclude(step="await_payment")
    waited = unfinished.update(next_at=Now())
    Order.objects.exclude(lease_until=None).update(lease_until=Now())
    for model in (Payment, Refund):
        waited += model.objects.filter(status="PENDING").update(next_at=Now())
    Refund.objects.filter(status="FAILED").update(updated_at=Now() - ASK_AGAIN_AFTER)
    waited += Return.objects.filter(done_at=None).update(next_at=Now())
    for context in settings.ECI_CONTEXTS:
        undelivered = apps.get_model(context, "OutboxEvent")._default_manager.filter(delivered_at=None)
        waited += undelivered.update(next_at=Now())
    return waited + Notification.objects.filter(status="QUEUED").update(next_at=Now(), lease_until=Now())


def do_what_is_due() -> None:
    """What worker, relay and beat do, until nothing is due now."""
    for _ in range(MANY):
        settle_unknown()
        sweep_holds()
        sealing.seal()
        if not relay_once(settings.ECI_CONTEXTS) + recover():
            break
    send_due()


def do_everything() -> None:
    """As much time passes as it takes until nothing waits."""
    for _ in range(MANY):
        if not let_time_pass():
            break
        do_what_is_due()


def changed_in_ledger() -> list[str]:
    """What the verification of the stock ledger finds, though nobody has changed what was sealed."""
    sealing.seal()
    found = [": ".join(one) for one in verify(proof.records(), sealing.public_keys())[1]]
    return found + [f"{movement} was never sealed" for movement in Movement.objects.filter(link=None)]
