"""Cancel, refund, return: a form, then what it does, then exactly that, once, for whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from contexts.inventory.models import Movement, Warehouse
from contexts.orders import services
from contexts.orders.models import Trail
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Refunding
from contexts.payments.public.api import payments
from tests.support.pages import Form, form_in, forms_in
from tests.support.shop import Shop
from tests.support.statements import Counted

Member = Callable[[str], Client]


@pytest.fixture
def support(member: Member) -> Client:
    return member("support staff")


class Dialog:
    """The page of one command in one browser."""

    def __init__(self, client: Client, order_id: str, command: str) -> None:
        self.client, self.url = client, f"/staff/orders/{order_id}/{command}"
        self.page = self.client.get(self.url)

    @property
    def form(self) -> Form:
        return form_in(self.page.content.decode(), having="_form_key")

    @property
    def text(self) -> str:
        return str(self.page.content.decode())

    def send(self, stage: str, **typed: str) -> Dialog:
        self.page = self.client.post(self.url, self.form.fields | typed | {"stage": stage})
        return self

    def preview(self, **typed: str) -> list[str]:
        effects = self.send("preview", **typed).page.context.get("effects", [])
        assert effects, self.text
        return list(effects)

    def confirm(self) -> str:
        """What the order's page says after it."""
        self.sent = self.form.fields | {"stage": "confirm"}
        return self.again()

    def again(self, **typed: str) -> str:
        self.page = self.client.post(self.url, self.sent | typed)
        assert self.page.status_code == 302, self.text
        return str(self.client.get(self.page["Location"]).content.decode())


def refunded(order_id: str) -> str:
    [record] = payments.records_of(order_id=order_id)
    return str(record.payment.refunded)


def test_cancel_does_what_it_showed_and_once(shop: Shop, support: Client) -> None:
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    shipment = shop.read(order_id)["shipments"][0]["shipment_id"]
    dialog = Dialog(support, order_id, "cancel")
    assert "autofocus" in dialog.text and 'name="reason"' in dialog.text
    assert "This field is required" in dialog.send("preview").text
    assert "Say the reason in words" in dialog.send("preview", reason="other").text
    assert "Card numbers are never accepted" in dialog.send("preview", words="4111 1111 1111 1111").text
    assert dialog.preview(reason="out of stock", words="until May") == [
        "Refunds 219.98 USD (199.98 goods + 10.00 tax + 10.00 shipping).",
        "Frees 2 × LAMP that are held in WH001.",
        f"Cancels shipment {shipment}.",
        "Tells ann@example.com: order cancellation, refund.",
    ]
    assert (shop.read(order_id)["status"], shop.stock()) == ("CONFIRMED", (100, 2, 98)), "nothing is done yet"
    assert "Cancel: done." in dialog.confirm()
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"], shop.stock()) == ("CANCELLED", "REFUNDED", (100, 0, 100))
    assert [one["status"] for one in order["shipments"]] == ["CANCELLED"]
    assert shop.notices(order_id) == ["order_cancellation", "order_confirmation", "refund"]
    [told] = [entry for entry in order["timeline"] if entry["event"] == "cancelled"]
    assert (told["detail"], told["actor"]) == ("out of stock: until May", "staff:support staff@example.com")
    assert Trail.objects.get(thing=f"order:{order_id}").action == "cancelled"
    assert "had been sent before" in dialog.again()
    assert "had been sent before" in dialog.again(reason="ordered twice"), "corrected by Back, and sent again"
    assert "It is being undone already" in support.get(dialog.url, follow=True).content.decode()


def test_returned_units_go_where_and_as_staff_says(shop: Shop, support: Client) -> None:
    items = [{"product_id": shop.product_id, "quantity": 2}, {"product_id": shop.other_id, "quantity": 2}]
    order_id = shop.api.post("/v1/orders", {"customer_id": shop.customer_id, "items": items}).data["order_id"]
    lamp, rug = shop.product_id, shop.other_id
    dialog = Dialog(support, order_id, "return")
    assert "Say how many units are back" in dialog.send("preview", reason="damaged").text
    many = dialog.send("preview", reason="damaged", **{f"units_{lamp}": "3"}).text
    assert "At most 2 can come back." in many
    typed = {f"units_{lamp}": "1", f"as_{lamp}": "damaged", f"units_{rug}": "2", f"to_{rug}": "WH002"}
    assert dialog.preview(reason="does not fit", **typed) == [
        "Refunds 125.99 USD (119.99 goods + 6.00 tax).",
        "Writes 1 × LAMP off as damaged in WH001.",
        "Puts 2 × RUG back on sale in WH002.",
        "Tells ann@example.com: refund.",
    ]
    assert "Register a return: done." in dialog.confirm()
    order = shop.read(order_id)
    assert (order["payment_status"], [one["refund"] for one in order["returns"]]) == (
        "PARTIALLY_REFUNDED",
        ["125.99"],
    )
    back = Movement.objects.filter(order_id=order_id, kind="return").values_list(
        "product_id", "warehouse_id", "delta", "reason"
    )
    assert sorted(back) == sorted(
        [(lamp, "WH001", 1, "return"), (lamp, "WH001", -1, "damaged"), (rug, "WH002", 2, "return")]
    )
    assert shop.notices(order_id) == ["order_confirmation", "refund", "shipping_confirmation"]
    assert "had been sent before" in dialog.again()
    rest = Dialog(support, order_id, "return")
    assert rest.preview(reason="damaged", **{f"units_{lamp}": "1"})[0] == "Refunds 104.99 USD (99.99 goods + 5.00 tax)."
    rest.confirm()
    assert shop.read(order_id)["status"] == "RETURNED"


def test_the_second_of_two_is_told_what_it_would_do_now(shop: Shop, support: Client, admin_client: Client) -> None:
    order_id, units = shop.order(2).data["order_id"], f"units_{shop.product_id}"
    ann, bob = Dialog(support, order_id, "return"), Dialog(admin_client, order_id, "return")
    ann.preview(reason="damaged", **{units: "1"})
    bob.preview(reason="does not fit", **{units: "1"})
    bob.sent = bob.form.fields | {"stage": "confirm"}
    ann.confirm()
    bob.page = admin_client.post(bob.url, bob.sent)
    assert "What this does has changed since it was shown" in bob.text
    assert bob.form.fields["reason"] == "does not fit" and bob.form.fields[units] == "1", "what was typed stays"
    assert [item["returned_quantity"] for item in shop.read(order_id)["items"]] == [1]
    assert "done." in bob.confirm()
    order = shop.read(order_id)
    assert [one["actor"] for one in order["returns"]] == ["staff:support staff@example.com", "staff:admin"]


def test_money_is_refunded_by_units_fee_and_an_amount(shop: Shop, support: Client) -> None:
    order_id = shop.order(2).data["order_id"]
    dialog = Dialog(support, order_id, "refund")
    assert "Say what is to be refunded" in dialog.send("preview", reason="late").text
    field = f"units_{shop.product_id}"
    many = Dialog(support, order_id, "refund").send("preview", reason="late", **{field: "3"})
    assert many.page.context["form"].errors == {field: ["At most 2 can be refunded."]}, "it stands at its line"
    assert "of what was paid are left, and no more" in dialog.send("preview", more="219.99", reason="late").text
    assert "decimal places" in dialog.send("preview", more="0.001", reason="late").text
    assert dialog.preview(shipping="on", more="1.50", reason="late", **{f"units_{shop.product_id}": "1"}) == [
        "Refunds 116.49 USD (99.99 goods + 5.00 tax + 10.00 shipping + 1.50 on top).",
        "Tells ann@example.com: refund.",
    ]
    edit = dialog.send("edit")
    assert edit.form.fields["more"] == "1.50" and edit.form.fields["shipping"] == "on"
    dialog.send("preview")
    assert "Refund money: done." in dialog.confirm()
    assert shop.read(order_id)["payment_status"] == "PARTIALLY_REFUNDED"
    assert refunded(order_id) == "116.49"
    assert shop.stock() == (98, 0, 98)
    assert "had been sent before" in dialog.again()
    assert "had been sent before" in dialog.again(more="2.00")
    assert refunded(order_id) == "116.49"
    assert shop.notices(order_id) == ["order_confirmation", "refund", "shipping_confirmation"]


@pytest.mark.parametrize("command", ["cancel", "refund", "return"])
def test_nothing_is_done_that_was_not_shown(command: str, shop: Shop, support: Client) -> None:
    order_id = shop.order(2, fulfilment="warehouse" if command == "cancel" else "automatic").data["order_id"]
    dialog, before = Dialog(support, order_id, command), shop.read(order_id)
    units = {} if command == "cancel" else {f"units_{shop.product_id}": "1"}
    reason = {"reason": "other", "words": "because"}
    page = dialog.send("confirm", **units, **reason).page
    assert page.context["effects"] and 'name="shown"' in dialog.text, "it is shown first"
    assert shop.read(order_id) == before
    assert "done." in dialog.confirm()


@pytest.mark.any_engine
def test_an_old_session_shows_who_it_is_before_it_refunds(shop: Shop, support: Client, settings: Any) -> None:
    order_id = shop.order(1).data["order_id"]
    settings.ECI_OPEN = False
    session = support.session
    session["proved_at"] = 1
    session.save()
    assert support.get(f"/staff/orders/{order_id}/refund").status_code == 403
    assert support.get(f"/staff/orders/{order_id}/return").status_code == 200


def test_what_a_customer_wants_to_return_is_received_or_refused(shop: Shop, support: Client) -> None:
    order_id = shop.order(3).data["order_id"]
    for units, reason in ((1, "too small"), (2, "too big")):
        services.request_return(
            order_id=order_id, wanted={shop.product_id: units}, reason=reason, actor=f"customer:{shop.customer_id}"
        )
    receive, refuse = Dialog(support, order_id, "receive"), Dialog(support, order_id, "refuse")
    first, second = receive.form.choices["asked"]
    assert receive.form.fields[f"units_{shop.product_id}"] == "1", "what was asked for stands there"
    typed = {"asked": first, f"as_{shop.product_id}": "lost"}
    assert receive.preview(**typed) == [
        "Refunds 104.99 USD (99.99 goods + 5.00 tax).",
        "Writes 1 × LAMP off as lost in WH001.",
        "Tells ann@example.com: return received, refund.",
    ]
    assert "done." in receive.confirm()
    late = refuse.send("preview", asked=first, reason="worn")
    assert "This return is RECEIVED already" in late.text
    assert refuse.preview(asked=second, reason="worn") == [
        "Refunds nothing.",
        "Tells ann@example.com: return refused.",
    ]
    assert "done." in refuse.confirm()
    assert "had been sent before" in refuse.again()
    assert "had been sent before" in receive.again()
    assert [(one["status"], one["answered_by"]) for one in shop.read(order_id)["returns"]] == [
        ("RECEIVED", "staff:support staff@example.com"),
        ("REFUSED", "staff:support staff@example.com"),
    ]
    assert set(shop.notices(order_id)) >= {"return_received", "return_refused", "refund"}


@pytest.mark.any_engine
def test_they_are_for_those_who_have_the_verb(shop: Shop, member: Member) -> None:
    order_id = shop.order(1).data["order_id"]
    stock, support = member("stock staff"), member("support staff")
    for command in ("cancel", "refund", "return", "receive", "refuse"):
        for method in (stock.get, stock.post):
            assert method(f"/staff/orders/{order_id}/{command}").status_code == 403
        assert support.get(f"/staff/orders/ORD-NONE/{command}", follow=True).status_code == 200
    assert support.get(f"/staff/orders/{order_id}/eat").status_code == 404
    assert Client().get(f"/staff/orders/{order_id}/cancel").headers["Location"].startswith("/admin/login/")
    damaged = support.post(f"/staff/orders/{order_id}/return", {"stage": "confirm", "reason": "late"})
    assert "This form is damaged" in damaged.content.decode()
    assert shop.read(order_id)["returns"] == []


@pytest.mark.any_engine
def test_what_cannot_be_is_told_and_what_was_typed_stays(shop: Shop, support: Client) -> None:
    order_id, units = shop.order(2).data["order_id"], f"units_{shop.product_id}"
    dialog = Dialog(support, order_id, "return")
    dialog.preview(reason="damaged", **{units: "1", f"to_{shop.product_id}": "WH002"})
    Warehouse.objects.filter(pk="WH002").update(is_active=False)
    gone = dialog.client.post(dialog.url, dialog.form.fields | {"stage": "confirm"}).content.decode()
    assert "Select a valid choice" in gone
    form = next(form for form in forms_in(gone) if units in form.kinds)
    assert form.fields[units] == "1"


def test_a_key_of_orders_refunds_once_whatever_it_asks(shop: Shop) -> None:
    order_id = shop.order(2).data["order_id"]
    much = {"order_id": order_id, "reason": "late", "actor": "staff:ann", "key": "k1"}
    for amount, repeated in (("5.00", False), ("6.00", True)):
        refunding = Refunding(units={}, shipping=False, more=Decimal(amount))
        assert orders.refund(refunding=refunding, **much).repeated is repeated
    assert refunded(order_id) == "5.00"


def test_no_statement_for_each_line(
    shop: Shop, admin_client: Client, statements: Callable[[], AbstractContextManager[Counted]]
) -> None:
    few = shop.order(1).data["order_id"]
    lines = [{"product_id": pk, "quantity": 1} for pk in (shop.product_id, shop.other_id) for _ in range(10)][:-2]
    many = shop.api.post("/v1/orders", {"customer_id": shop.customer_id, "items": lines}).data["order_id"]

    def counted(order_id: str) -> int:
        with statements() as found:
            dialog = Dialog(admin_client, order_id, "return")
            units = {name: "1" for name in dialog.form.kinds if name.startswith("units_")}
            dialog.preview(reason="damaged", **units)
        return found.total

    counted(few)
    assert counted(many) == counted(few)
