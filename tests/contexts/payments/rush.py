"""Many callers at once on real connections; prints the results as JSON. Run by test_concurrency."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402

from contexts.payments import workflows  # noqa: E402
from contexts.payments.domain import ChargeAsked  # noqa: E402
from contexts.payments.models import OutboxEvent, Payment, PaymentRequest, Refund  # noqa: E402
from contexts.payments.public.api import payments  # noqa: E402
from eci.clock import utcnow  # noqa: E402
from eci.errors import EciError  # noqa: E402
from eci.ids import new_order_id  # noqa: E402


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The results of all calls; each runs in a thread of its own, all at the same moment."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error.code if isinstance(error, EciError) else type(error).__name__
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def post(path: str, body: dict[str, Any], key: str = "") -> tuple[str, Any]:
    """The payment's status, or the code of the refusal; and the data."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = Client(raise_request_exception=False).post(path, body, "application/json", headers=headers).json()
    return (answer.get("code") or answer["data"]["status"]), answer["data"]


def charge(order_id: str, key: str = "", **more: Any) -> tuple[str, Any]:
    return post("/v1/payments/charge", {"order_id": order_id, "amount": "100.00", **more}, key)


def counted(answers: list[Any]) -> Counter[str]:
    return Counter(answer[0] if isinstance(answer, tuple) else str(answer) for answer in answers)


def due() -> str:
    order_id = new_order_id()
    payments.open_request(order_id=order_id, amount=Decimal(100), currency="USD", customer_id=None, seconds=900)
    return order_id


def authorised() -> str:
    order_id = new_order_id()
    payments.authorise(
        order_id=order_id, amount=Decimal(100), currency="USD", customer_id=None, method="card", token=""
    )
    return order_id


def one_order() -> dict[str, Any]:
    order_id = due()
    answers = at_once(*[lambda n=n: charge(order_id, f"key {n}") for n in range(20)])
    return {"answers": counted(answers), "rows": Payment.objects.filter(order_id=order_id).count()}


def refunds() -> dict[str, Any]:
    payment_id = charge("REFUNDED")[1]["payment_id"]
    answers = at_once(*[lambda: post(f"/v1/payments/{payment_id}/refund", {"amount": "10.00", "reason": "late"})] * 20)
    row = Payment.objects.get(pk=payment_id)
    return {
        "answers": counted(answers),
        "refunded": row.refunded_minor,
        "status": row.status,
        "rows": Refund.objects.filter(payment=row, status="COMPLETED").count(),
    }


def capture_and_cancel() -> list[Any]:
    ends = []
    for _ in range(6):
        order_id = authorised()
        capture = lambda: payments.capture(order_id=order_id).status  # noqa: B023, E731
        cancel = lambda: payments.cancel(order_id=order_id, reason="")[0].status  # noqa: B023, E731
        answers = at_once(capture, cancel, capture, cancel)
        row = Payment.objects.get(order_id=order_id)
        events = OutboxEvent.objects.filter(aggregate_id=order_id, consumer="orders")
        ends.append(
            {
                "answers": answers,
                "status": row.status,
                "refunded": row.refunded_minor,
                "captured": row.captured_minor,
                "payment": row.pk,
                "events": sorted(events.values_list("name", flat=True)),
            }
        )
    return ends


def charge_and_close() -> list[Any]:
    ends = []
    for _ in range(10):
        order_id = due()

        def pay(order_id: str = order_id) -> str:
            asked = ChargeAsked(
                order_id=order_id, amount_minor=10000, currency="USD", customer_id=None, method="card", token=""
            )
            begun = workflows.begin_charge(asked=asked, key=None)
            return str(workflows.carry_out_charge(payment_id=begun).status)

        def close(order_id: str = order_id) -> str:
            return payments.close(order_id=order_id, reason="expired")

        charged, closed = at_once(pay, close)
        ends.append(
            {
                "charged": charged,
                "closed": closed,
                "request": PaymentRequest.objects.get(pk=order_id).state,
                "paid": Payment.objects.filter(order_id=order_id, status="COMPLETED").count(),
            }
        )
    return ends


def same_authorise() -> dict[str, Any]:
    order_id = new_order_id()

    def authorise() -> str:
        return payments.authorise(
            order_id=order_id, amount=Decimal(100), currency="USD", customer_id=None, method="card", token=""
        ).status

    answers = at_once(*[authorise] * 10)
    return {"answers": counted(answers), "rows": Payment.objects.filter(order_id=order_id).count()}


def settling() -> dict[str, Any]:
    answers = at_once(*[lambda: charge("SILENT", token="tok_timeout")] * 10)
    Payment.objects.filter(status="PENDING").update(next_at=utcnow())
    settled = at_once(*[workflows.settle_unknown] * 5)
    return {
        "answers": counted(answers),
        "settled": sum(settled),
        "unsettled": payments.statistics().unknown,
        "events": OutboxEvent.objects.filter(aggregate_id="SILENT", consumer="orders").count(),
    }


if __name__ == "__main__":
    rushes = (
        one_order,
        refunds,
        capture_and_cancel,
        charge_and_close,
        same_authorise,
        settling,
    )
    json.dump({rush.__name__: rush() for rush in rushes}, sys.stdout)
