"""A row id that is given out again, after an older copy of the database was restored, is another payment."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from django.conf import settings

from contexts.payments import workflows
from contexts.payments.models import Payment, Refund
from eci.clock import utcnow
from tests.support.shop import Shop


def captures() -> int:
    return done("capture")


def refunds() -> int:
    return done("refund")


def done(kind: str) -> int:
    """Operations in the provider's books."""
    ledger = sqlite3.connect(settings.ECI_SANDBOX_LEDGER)
    (count,) = ledger.execute("SELECT count(*) FROM operations WHERE kind = ? AND outcome = 'done'", [kind]).fetchone()
    ledger.close()
    return int(count)


def test_a_payment_with_a_used_id_is_charged(shop: Shop) -> None:
    first = Payment.objects.get(order_id=shop.order(1, fulfilment="warehouse").data["order_id"])
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    second = Payment.objects.get(order_id=order_id)
    nonce = second.nonce
    Payment.objects.filter(pk=first.pk).delete()  # as if restored from before: its id is free again
    second.pk = first.pk
    second.nonce = "0123456789abcdef"
    second.status, second.captured_minor, second.attempts = "PENDING", 0, 1
    second.save(force_insert=True)
    workflows.ask_provider(kind="payment", row_id=first.pk)
    row = Payment.objects.get(pk=first.pk)
    assert (row.status, row.reference != first.reference) == ("AUTHORISED", True), "the provider answered for the other"
    assert nonce not in ("", "0123456789abcdef")


def test_rows_from_before_the_nonce_keep_their_key(shop: Shop) -> None:
    payment = Payment.objects.get(order_id=shop.order(1, fulfilment="warehouse").data["order_id"])
    ledger = sqlite3.connect(settings.ECI_SANDBOX_LEDGER)
    with ledger:
        ledger.execute("UPDATE operations SET key = replace(key, ?, '')", (f"-{payment.nonce}",))
    ledger.close()
    Payment.objects.filter(pk=payment.pk).update(nonce="", status="AUTHORISED", captured_minor=0)
    workflows.capture(order_id=payment.order_id)
    assert Payment.objects.get(pk=payment.pk).status == "COMPLETED"
    assert captures() == 1


def test_every_new_row_has_a_nonce_of_its_own(shop: Shop) -> None:
    order_ids = [shop.order(1).data["order_id"] for _ in range(3)]
    payments = Payment.objects.filter(order_id__in=order_ids)
    for payment in payments:
        shop.api.post(f"/v1/payments/{payment.pk}/refund", {"amount": "1.00", "reason": "late"})
    nonces = [*payments.values_list("nonce", flat=True), *Refund.objects.values_list("nonce", flat=True)]
    assert len(set(nonces)) == 6
    assert all(nonces)


def test_a_cancellation_that_is_repeated_by_a_restored_copy_is_refunded_once(shop: Shop) -> None:
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    before = Payment.objects.filter(order_id=order_id).values().get()
    shop.api.post(f"/v1/orders/{order_id}/cancel", {})
    refund = Refund.objects.get(payment_id=before["id"])
    Refund.objects.all().delete()
    Payment.objects.filter(pk=before["id"]).update(**before)
    [again] = workflows.cancel(order_id=order_id, reason="cancelled", actor="system")
    assert Refund.objects.get(payment_id=before["id"]).pk != refund.pk, "the row has another id"
    assert (again.status, again.refunded_minor) == ("REFUNDED", before["captured_minor"])
    assert refunds() == 1


def test_a_cancellation_that_was_refused_is_asked_for_anew(shop: Shop) -> None:
    order_id = shop.order(1, fulfilment="warehouse", payment={"token": "tok_refund_refused"}).data["order_id"]
    shop.api.post(f"/v1/orders/{order_id}/cancel", {})
    first = Refund.objects.get()
    Refund.objects.update(updated_at=utcnow() - timedelta(minutes=11))
    [done] = workflows.cancel(order_id=order_id, reason="cancelled", actor="system")
    second = Refund.objects.exclude(pk=first.pk).get()
    assert (first.status, second.status, done.status) == ("FAILED", "COMPLETED", "REFUNDED")
    assert first.nonce != second.nonce
