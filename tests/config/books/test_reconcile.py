"""``manage.py reconcile``: each kind of trouble is listed with its safe action, and the action does what it says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from config.books.models import Repair
from config.staff import groups
from contexts.catalog.models import Product
from contexts.inventory.models import Stock
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import Demand
from contexts.inventory.services import stock
from contexts.notifications.models import Notification
from contexts.orders.models import Order, OrderLine, OutboxEvent, Return, Switch, TimelineEntry
from contexts.payments.models import Payment
from contexts.payments.public.api import payments
from contexts.payments.public.contracts import PaymentUnknown
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import Withheld
from eci import text
from eci.clock import utcnow
from eci.ids import new_order_id
from eci.intake import bring_in
from tests.support.api import settle
from tests.support.pages import Browser, Form, forms_in
from tests.support.shop import Shop

LONG_AGO = timedelta(minutes=10)


def hold(shop: Shop, order_id: str) -> None:
    items = (Demand(product_id=shop.product_id, quantity=3),)
    inventory.reserve(order_id=order_id, key=order_id, items=items, seconds=900, paying=True)


def authorise(order_id: str, **more: Any) -> None:
    means = {"customer_id": None, "method": "credit_card", "token": ""} | more
    payments.authorise(order_id=order_id, amount=Decimal("10.00"), currency="USD", **means)


def expect(manage: Any, item: str, action: str) -> None:
    """It is listed with that action, and left alone by the dry run."""
    code, said = manage("reconcile")
    assert code == 1
    assert item in said.splitlines()
    assert f"    safe: {action}" in said
    assert "Nothing was changed" in said
    assert manage("reconcile")[1] == said


def clean(manage: Any) -> None:
    code, said = manage("reconcile")
    assert (code, said.startswith("Nothing is stuck or at odds")) == (0, True), said


def test_nothing_to_do(shop: Shop, manage: Any) -> None:
    shop.order(1)
    shop.order(1, pay_later=True)
    clean(manage)
    assert not Repair.objects.exists()


def test_a_hold_without_order(shop: Shop, manage: Any) -> None:
    order_id = new_order_id()
    hold(shop, order_id)
    expect(manage, f"hold-without-order:{order_id}", "release the reservation")
    assert shop.stock()[1] == 3
    assert manage("reconcile", "--apply")[0] == 0
    assert shop.stock()[1] == 0
    clean(manage)
    [record] = Repair.objects.all()
    assert (record.item, record.outcome) == (f"hold-without-order:{order_id}", "the reservation is RELEASED")
    assert record.actor.startswith("command:")


@pytest.mark.parametrize(("captured", "end"), [(False, "VOIDED"), (True, "REFUNDED")])
def test_paid_without_order(shop: Shop, manage: Any, captured: bool, end: str) -> None:
    order_id = new_order_id()
    authorise(order_id)
    if captured:
        payments.capture(order_id=order_id)
    expect(
        manage,
        f"paid-without-order:{order_id}",
        "void what is authorised, refund what was captured",
    )
    assert manage("reconcile", "--apply", "--only", "paid-without-order")[0] == 0
    assert Payment.objects.get(order_id=order_id).status == end
    clean(manage)


def test_money_is_not_given_back_for_goods_that_left(shop: Shop, manage: Any) -> None:
    order_id = shop.order(1).data["order_id"]
    for part in (OrderLine, TimelineEntry):
        part.objects.filter(order=order_id).delete()
    Order.objects.filter(pk=order_id).delete()
    code, said = manage("reconcile", "--apply")
    assert code == 1
    assert "Goods have left for it" in said
    assert Payment.objects.get(order_id=order_id).status == "COMPLETED"
    assert not Repair.objects.exists()


def test_what_an_undone_order_left_behind(shop: Shop, manage: Any) -> None:
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    Order.objects.filter(pk=order_id).update(status="CANCELLED", next_at=None)
    names = [f"{kind}:{order_id}" for kind in ("refund-owed", "hold-left", "shipment-left")]
    _, said = manage("reconcile")
    assert [line for line in said.splitlines() if line.endswith(order_id)] == names
    assert manage("reconcile", "--apply", "--only", names[0])[0] == 0
    assert Payment.objects.get(order_id=order_id).status == "REFUNDED"
    assert shop.stock()[1] == 1, "only what was named is done"
    code, said = manage("reconcile", "--apply", "--only", "nope:x")
    assert code == 1 and "Nothing that is stuck or at odds is named 'nope:x'" in said, said
    assert manage("reconcile", "--apply")[0] == 0
    assert shop.stock()[1] == 0
    assert [parcel.status for parcel in shipping.shipments_of(order_ids=[order_id])] == ["CANCELLED"]
    clean(manage)


def test_an_order_that_no_runner_looks_at(shop: Shop, manage: Any) -> None:
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    past = utcnow() - LONG_AGO
    Order.objects.filter(pk=order_id).update(
        fulfilment="automatic", next_at=past, lease_owner="a dead runner", lease_until=past
    )
    expect(manage, f"overdue:{order_id}", "carry it on now")
    assert manage("reconcile", "--apply")[0] == 0
    assert shop.read(order_id)["status"] == "SHIPPED"
    assert any(entry["event"] == "retried" for entry in shop.read(order_id)["timeline"])
    clean(manage)


def test_what_is_under_way_is_left_alone(shop: Shop, manage: Any) -> None:
    """A runner has it: its lease has not run out."""
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    now = utcnow()
    Order.objects.filter(pk=order_id).update(
        status="CANCELLED", next_at=now - LONG_AGO, lease_owner="a runner", lease_until=now + LONG_AGO
    )
    clean(manage)


def test_attention_that_is_over_and_attention_that_is_not(shop: Shop, manage: Any) -> None:
    over, short = (shop.order(1, fulfilment="warehouse").data["order_id"] for _ in range(2))
    Order.objects.filter(pk=over).update(needs_attention=True)
    row = Stock.objects.get(product_id=shop.product_id)
    expect(manage, f"needs-attention:{over}", "clear the flag: the order is complete and its books agree")
    assert manage("reconcile", "--apply")[0] == 0
    assert not Order.objects.get(pk=over).needs_attention
    shop.api.patch(f"/v1/inventory/{row.pk}", {"onhand": 0, "reason": "fire", "force": True})
    shop.notices(short)
    code, said = manage("reconcile", "--apply")
    assert code == 1
    assert f"needs-attention:{short}" in said
    assert "Units for it are missing" in said
    assert Order.objects.get(pk=short).needs_attention


def test_a_return_that_does_not_get_on(shop: Shop, manage: Any) -> None:
    order_id = shop.order(1).data["order_id"]
    past = utcnow() - LONG_AGO
    items = [{"product_id": shop.product_id, "quantity": 1}]
    shop.api.post(f"/v1/orders/{order_id}/returns", {"items": items, "reason": "broken"})
    Return.objects.filter(order=order_id).update(done_at=None, attempts=3, created_at=past, next_at=utcnow() + LONG_AGO)
    expect(manage, f"return-stuck:{order_id}", "try again now")
    assert manage("reconcile", "--apply")[0] == 0
    assert Return.objects.get(order=order_id).done_at is not None
    clean(manage)


def test_a_review_that_waits_for_long(shop: Shop, manage: Any, settings: Any) -> None:
    settings.ECI_REVIEW_AMOUNT = 5
    with pytest.raises(PaymentUnknown):
        authorise(new_order_id(), screened=True)
    row = Payment.objects.get()
    clean(manage)
    Payment.objects.update(created_at=utcnow() - timedelta(hours=1))
    code, said = manage("reconcile")
    assert code == 1
    assert f"payment-review:payment-{row.pk}" in said
    assert "a large amount" in said
    assert "Release or refuse it" in said
    assert manage("reconcile", "--apply")[0] == 1, "that is for a person to decide"


def short(shop: Shop) -> dict[str, Any]:
    """A paid order whose two units a forced count has taken."""
    order: dict[str, Any] = shop.order(2, fulfilment="warehouse").data
    row = Stock.objects.get(product_id=shop.product_id)
    count = {"onhand": 0, "reason": "count", "force": True}
    assert shop.api.patch(f"/v1/inventory/{row.pk}", count).status == 200
    settle()
    return order


def test_what_is_owed_is_no_contradiction_while_its_shipment_is_withheld(shop: Shop, manage: Any) -> None:
    order = short(shop)
    assert manage("audit")[0] == 0
    code, said = manage("reconcile")
    assert (code, f"needs-attention:{order['order_id']}" in said, "owed:" in said) == (1, True, False)
    assert "Units for it are missing. Receive some" in said


def test_a_short_shipment_that_may_leave(shop: Shop, manage: Any) -> None:
    order_id = short(shop)["order_id"]
    shipping.allow(order_id=order_id, warehouse=None, reason=Withheld.SHORT)
    code, said = manage("audit")
    assert (code, "units are owed to it in WH001, and its shipment may leave from there" in said) == (1, True)
    expect(manage, f"owed:{order_id}", "withhold the shipments whose units are owed, and no others")
    manage("reconcile", "--apply", "--only", "owed")
    assert shipping.shipments_of(order_ids=[order_id])[0].withheld == (Withheld.SHORT,)
    assert manage("audit")[0] == 0


def test_a_shipment_withheld_for_nothing(shop: Shop, manage: Any) -> None:
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    shipping.withhold(order_id=order_id, warehouse=None, reason=Withheld.SHORT)
    expect(manage, f"owed:{order_id}", "withhold the shipments whose units are owed, and no others")
    assert manage("reconcile", "--apply")[0] == 0
    assert shipping.shipments_of(order_ids=[order_id])[0].withheld == ()
    clean(manage)


def test_a_refunded_order_that_holds_stock_is_listed_until_staff_decides(shop: Shop, manage: Any) -> None:
    """Also one of which a part has left; and no advice that would be refused."""
    body = {"product_id": shop.product_id, "warehouse": "WH002", "onhand": 2}
    shop.api.post("/v1/inventory", body)
    kept = shop.order(2, fulfilment="warehouse").data
    parts = shop.order(100, fulfilment="warehouse").data
    first, second = (one["shipment_id"] for one in parts["shipments"])
    assert shop.api.patch(f"/v1/shipments/{first}", {"status": "SHIPPED"}).status == 200
    row = Stock.objects.get(product_id=shop.product_id, warehouse=parts["shipments"][1]["warehouse"])
    owed = row.reserved
    stock.count(inventory_id=row.pk, on_hand=0, reorder_point=None, reason="r", force=True, actor="staff:ann")
    _, said = manage("reconcile")
    assert "refund it in full" in said
    assert "cancel the order" not in said
    shop.api.post("/v1/inventory", body | {"warehouse": row.warehouse_id, "onhand": owed})
    for order in (kept, parts):
        shop.api.post(f"/v1/payments/{order['payments'][0]['payment_id']}/refund", {"reason": "gesture"})
    shop.api.settle()
    assert manage("audit")[0] == 0
    code, said = manage("reconcile")
    assert (code, f"refunded-holding:{kept['order_id']}" in said) == (1, True)
    assert "was refunded in full and still holds 2 units" in said
    boss = Browser()
    boss.force_login(get_user_model().objects.create_superuser("boss", password="a-long-pass-1"))
    boss.post("/staff/reconcile/look")
    assert f'href="/staff/orders/{kept["order_id"]}"' in boss.get("/staff/reconcile").content.decode()
    assert shop.api.post(f"/v1/orders/{kept['order_id']}/cancel", {}).status == 200
    assert shop.api.patch(f"/v1/shipments/{second}", {"status": "SHIPPED", "force": True}).status == 200
    clean(manage)


def test_a_payment_the_provider_is_silent_about(shop: Shop, manage: Any, tmp_path: Any) -> None:
    order_id = new_order_id()
    ledger, settings.ECI_SANDBOX_LEDGER = settings.ECI_SANDBOX_LEDGER, tmp_path / "nowhere" / "ledger.sqlite3"
    charge = {"order_id": "FOREIGN-1", "amount": "5.00"}
    assert shop.api.post("/v1/payments/charge", charge).status == 202
    row = Payment.objects.get(order_id="FOREIGN-1")
    Payment.objects.filter(pk=row.pk).update(created_at=utcnow() - LONG_AGO)
    expect(manage, f"unknown-payment:payment-{row.pk}", "ask the provider now")
    assert "the payment is PENDING" in manage("reconcile", "--apply")[1]
    settings.ECI_SANDBOX_LEDGER = ledger
    assert "the payment is COMPLETED" in manage("reconcile", "--apply")[1]
    clean(manage)
    assert not Order.objects.filter(pk=order_id).exists()


def test_an_event_that_cannot_be_delivered(shop: Shop, manage: Any) -> None:
    order_id = shop.order(1).data["order_id"]
    row = OutboxEvent.objects.get(aggregate_id=order_id, consumer="notifications")
    OutboxEvent.objects.filter(pk=row.pk).update(attempts=7, delivered_at=None, next_at=utcnow() + LONG_AGO)
    expect(manage, f"event-undelivered:orders-{row.pk}", "deliver it now")
    assert "done: delivered" in manage("reconcile", "--apply")[1]
    clean(manage)


def test_a_notice_that_was_given_up(shop: Shop, manage: Any) -> None:
    shop.notices(shop.order(1).data["order_id"])
    notice = Notification.objects.order_by("pk").first()
    assert notice is not None
    Notification.objects.filter(pk=notice.pk).update(status="FAILED")
    expect(manage, f"notice-failed:{notice.pk}", "queue it again")
    assert "done: the notification is QUEUED" in manage("reconcile", "--apply")[1]
    clean(manage)


def test_stock_at_odds_is_only_told(shop: Shop, manage: Any) -> None:
    Stock.objects.filter(product_id=shop.product_id).update(on_hand=99)
    code, said = manage("reconcile", "--apply")
    assert code == 1
    assert "on hand is 99, the ledger sums up to 100" in said
    assert "Count the units" in said
    assert Stock.objects.get(product_id=shop.product_id).on_hand == 99


def test_an_action_that_fails_is_told_and_stops_no_other(shop: Shop, manage: Any, monkeypatch: Any) -> None:
    from config.books import reconcile

    def fail(subject: str, actor: str) -> str:
        raise RuntimeError("boom")

    monkeypatch.setitem(reconcile._ACTIONS, "paid-without-order", fail)
    order_id = new_order_id()
    hold(shop, order_id)
    authorise(order_id)
    code, said = manage("reconcile", "--apply")
    assert code == 1
    assert "not done: RuntimeError: boom" in said
    assert "the reservation is RELEASED" in said
    assert {record.outcome for record in Repair.objects.all()} == {
        "not done: RuntimeError: boom",
        "the reservation is RELEASED",
    }


def test_the_page_lists_the_same_and_acts_for_those_who_may_repair(shop: Shop) -> None:
    order_id = new_order_id()
    hold(shop, order_id)
    users = get_user_model().objects
    client = Browser()
    groups.make_groups()
    helper = users.create_user("helper", password="a-long-pass-1", is_staff=True)
    client.force_login(helper)
    assert {client.get("/staff/reconcile").status_code, client.post("/staff/reconcile/look").status_code} == {403}
    helper.groups.add(Group.objects.get(name="stock staff"))
    client.post("/staff/reconcile/look")
    page = client.get("/staff/reconcile").content.decode()
    assert order_id in page
    assert "Safe: release the reservation." in page
    wanted = {"item": f"hold-without-order:{order_id}"}
    assert client.post("/staff/reconcile/repair", wanted).status_code == 403
    assert shop.stock()[1] == 3
    helper.groups.add(Group.objects.get(name="support staff"))
    assert client.post("/staff/reconcile/orders", {"reason": "flood"}).status_code == 403
    assert "Release the reservation" in client.get("/staff/reconcile").content.decode()
    client.post("/staff/reconcile/repair", wanted)
    assert shop.stock()[1] == 0
    assert Repair.objects.get().actor == "staff:helper"
    told = client.get("/admin/").context["mine"].lines
    assert ("repair: release the reservation", f"hold-without-order {order_id}") in {
        (one.action, one.thing) for one in told
    }
    assert "Nothing is stuck or at odds." in client.get("/staff/reconcile").content.decode()


def test_a_form_of_the_page_has_one_effect_and_overwrites_nothing(shop: Shop) -> None:
    clients = []
    for name in ("ann", "bob"):
        clients.append(Client())
        clients[-1].force_login(get_user_model().objects.create_superuser(name, password="a-long-pass-1"))
    ann, bob = clients

    def opened(client: Client, button: str) -> Form:
        page = client.get("/staff/reconcile").content.decode()
        [form] = [one for one in forms_in(page) if button in one.action]
        assert "_form_key" in form.kinds
        return form

    def press(client: Client, form: Form, **typed: str) -> str:
        return client.post(form.action, form.fields | typed, follow=True).content.decode()

    first, late = opened(ann, "orders"), opened(bob, "orders")
    assert "by staff:ann: flood" in press(ann, first, reason="flood")
    assert "sent before" in press(ann, first, reason="flood")
    told = press(bob, late, reason="fire")
    assert "Somebody else has changed this meanwhile" in told and "by staff:ann: flood" in told
    assert "New orders are taken." in press(bob, opened(bob, "orders"), taking="yes")
    assert Switch.objects.count() == 2

    order_id = new_order_id()
    hold(shop, order_id)
    look = opened(ann, "look")
    assert order_id in press(ann, look)
    assert "sent before" in press(ann, look)
    repair = opened(ann, "repair")
    wanted = {"item": f"hold-without-order:{order_id}"}
    assert "the reservation is RELEASED" in press(ann, repair, **wanted)
    hold(shop, new_order_id())
    assert "sent before" in press(ann, repair, **wanted)
    assert Repair.objects.count() == 1


def test_a_text_that_a_migration_left_is_listed_for_people_to_change(shop: Shop, manage: Any) -> None:
    Product.objects.filter(pk=shop.product_id).update(name="Ann\u202eeeL")
    bring_in(Product.objects.all(), {"name": partial(text.clean, limit=text.NAME)})
    code, said = manage("reconcile")
    assert (code, f"text-left:catalog-product:{shop.product_id}-name" in said) == (1, True)
    assert f"name of product:{shop.product_id} in catalog is as it came in long ago" in said
    assert "U+202E" in said
    shop.api.patch(f"/v1/products/{shop.product_id}", {"name": "Lamp"})
    clean(manage)
