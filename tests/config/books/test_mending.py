"""Each row of the problems leads to the very form that mends it, for those who may use that."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from config.books import checkup, mending
from config.books.models import CheckUp
from contexts.inventory.models import Stock
from contexts.inventory.public.api import inventory
from contexts.notifications.models import Notification
from eci.clock import utcnow
from tests.config.desk.test_desk import away
from tests.support import people
from tests.support.pages import forms_in
from tests.support.shop import Shop


def listed(client: Client) -> dict[str, dict[str, str]]:
    """By kind, where its links lead, by their titles."""
    page = client.get("/staff/reconcile")
    assert page.status_code == 200
    return {item["kind"]: {mend.title: mend.url for mend in mends} for item, _, mends in page.context["items"]}


def told(*items: dict[str, Any]) -> None:
    """A check-up that found these."""
    CheckUp.objects.create(at=utcnow(), milliseconds=1, orders=1, in_flight=0, items=list(items), lags={})


def item(kind: str, subject: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "subject": subject, "problem": "p", "action": "", "advice": ""} | more


def test_missing_units_lead_to_a_receipt_that_is_filled_in(shop: Shop, admin_client: Client) -> None:
    order_id = shop.order(3, fulfilment="warehouse").data["order_id"]
    [row] = inventory.stock_of(product_id=shop.product_id)
    body = {"onhand": 1, "reason": "count", "force": True}
    assert shop.api.patch(f"/v1/inventory/{row.inventory_id}", body).status == 200
    shop.api.settle()
    checkup.check_up()
    links = listed(admin_client)["needs-attention"]
    assert set(links) == {"Receive 3 × LAMP in WH001", "Open the order", "Cancel it"}
    assert links["Open the order"] == f"/staff/orders/{order_id}"
    page = admin_client.get(links["Receive 3 × LAMP in WH001"]).content.decode()
    [form] = [one for one in forms_in(page) if "units" in one.kinds]
    assert [form.fields[name] for name in ("sku", "warehouse", "units")] == ["LAMP", "WH001", "3"]
    assert admin_client.post("/admin/inventory/stock/receipt/", form.fields | {"units": "9"}).status_code == 302
    shop.api.settle()
    checkup.check_up()
    assert "needs-attention" not in listed(admin_client), "the order has its units"


def test_a_stock_row_at_odds_leads_to_its_count(shop: Shop, admin_client: Client) -> None:
    Stock.objects.filter(product_id=shop.product_id).update(on_hand=F("on_hand") + 1)
    checkup.check_up()
    url = listed(admin_client)["stock"]["Count it"]
    page = admin_client.get(url).content.decode()
    assert "LAMP" in page and "count" in page


def test_what_failed_leads_to_its_own_form(shop: Shop, admin_client: Client) -> None:
    shop.order(1)
    shop.api.settle()
    Notification.objects.update(status="FAILED")
    checkup.check_up()
    [url] = listed(admin_client)["notice-failed"].values()
    assert admin_client.get(url).status_code == 200


def test_every_kind_leads_to_pages_that_there_are(shop: Shop, admin_client: Client) -> None:
    order = shop.order(1, fulfilment="warehouse").data
    payment_id = order["payments"][0]["payment_id"]
    told(
        *(item(kind, order["order_id"]) for kind in ("refunded-holding", "overdue", "refund-owed", "return-stuck")),
        *(item(kind, order["order_id"]) for kind in ("hold-without-order", "paid-without-order")),
        *(item(kind, f"payment-{payment_id}") for kind in ("payment-review", "unknown-payment")),
        item("text-left", f"catalog-product:{shop.product_id}-name"),
    )
    for kind, links in listed(admin_client).items():
        assert links, kind
        for url in links.values():
            assert admin_client.get(url, follow=True).status_code == 200, url


@pytest.mark.parametrize(
    "odd",
    [
        item("stock", "product x in y"),
        item("text-left", "-"),
        item("text-left", ""),
        item("payment-review", ""),
        item("event-undelivered", "catalog-5"),
        item("notice-failed", "x"),
        item("ledger", "movement 5"),
        item("needs-attention", "ORD-X", lacks=[{"product_id": 999, "warehouse": "é&", "units": 2}]),
    ],
)
def test_what_cannot_be_read_has_no_link_and_breaks_nothing(odd: dict[str, Any], admin_client: Client) -> None:
    told(odd)
    listed(admin_client)


def test_nobody_is_led_to_what_they_may_not_do(shop: Shop) -> None:
    told(item("needs-attention", "ORD-X", lacks=[{"product_id": shop.product_id, "warehouse": "W", "units": 2}]))
    assert set(listed(people.member("stock staff"))["needs-attention"]) == {"Receive 2 × LAMP in W"}
    assert set(listed(people.member("support staff"))["needs-attention"]) == {"Open the order", "Cancel it"}


def test_the_page_stands_while_the_catalog_is_away(shop: Shop, admin_client: Client) -> None:
    told(item("needs-attention", "ORD-X", lacks=[{"product_id": shop.product_id, "warehouse": "W", "units": 2}]))
    with away("catalog"):
        links = listed(admin_client)["needs-attention"]
    number = shop.product_id
    title = f"Receive 2 × {number} in W"
    assert links[title] == f"/admin/inventory/stock/receipt/?product_id={number}&warehouse=W&units=2"


def test_there_is_one_question_to_the_catalog(shop: Shop, monkeypatch: Any) -> None:
    asked: list[Any] = []
    known = mending.catalog.known_products
    lacks = [{"product_id": shop.product_id, "warehouse": "W", "units": 1}]
    monkeypatch.setattr(mending, "catalog", _Noting(asked, known, mending.catalog.products))
    told(*(item("needs-attention", f"ORD-{number}", lacks=lacks) for number in range(5)))
    listed(people.member("stock staff"))
    assert len(asked) == 1


class _Noting:
    def __init__(self, asked: list[Any], known: Any, products: Any) -> None:
        self.asked, self.known, self.products = asked, known, products

    def known_products(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return self.known(**asked)
