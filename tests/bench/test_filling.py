"""What the benchmarks fill a shop with: the books agree, and the product goes on from there."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.filling import goods, trade
from bench.filling.writer import write
from config.books import audit
from contexts.catalog.models import Product
from contexts.inventory.models import Movement, Reservation, Stock
from contexts.inventory.services import sweeping
from contexts.notifications.models import Notification
from contexts.orders.models import Order, OutboxEvent
from eci import outbox
from eci.clock import utcnow
from tests.support.api import Api

ORDERS, PRODUCTS, ROWS, HOLDS = 40, 20, 30, 5


@pytest.fixture
def filled() -> None:
    sold = list(goods.articles(PRODUCTS, units=1000))
    shelves = goods.open_shop(sold, customers=3, warehouses=3, rows=ROWS)
    shop = trade.Trade(sold, shelves, customers=3, lines=3)
    shop.write(ORDERS)
    trade.write_counts(shelves, 10)
    trade.write_expired_holds(shelves, ORDERS + 1, HOLDS)
    shelves.store(goods.moment(utcnow()))
    trade.write_waiting_events(2)


def test_the_audit_finds_nothing(filled: None) -> None:
    verdict = audit.look()
    assert (verdict.orders, verdict.in_flight, verdict.findings) == (ORDERS, 0, ())
    assert set(Counter(Order.objects.values_list("status", flat=True))) == {
        "SHIPPED", "DELIVERED", "CANCELLED", "EXPIRED", "CONFIRMED",
    }  # fmt: skip
    assert Stock.objects.count() == ROWS
    assert Movement.objects.filter(kind="count").count() == 10
    assert Notification.objects.filter(status="SENT").count() > ORDERS


def test_an_audit_that_is_not_blind(filled: None) -> None:
    Stock.objects.filter(reserved__gt=0).update(reserved=0)
    assert audit.look().findings


def test_the_shop_goes_on(filled: None, api: Api) -> None:
    order = api.post("/v1/orders", {"customer_id": 1, "items": [{"product_id": 1, "quantity": 2}]}, key="new")
    assert (order.status, order.data["status"]) == (201, "SHIPPED")
    assert [one["order_id"] for one in api.get("/v1/orders?limit=1").data] == [order.data["order_id"]]
    assert api.get("/v1/products/search?q=lamp").data
    api.settle()
    assert audit.look().findings == ()


def test_what_waits_and_what_ran_out_is_there_to_be_found(filled: None) -> None:
    assert sweeping.sweep_batch() == HOLDS
    assert Reservation.objects.filter(key__startswith="hold-", status="EXPIRED").count() == HOLDS
    assert OutboxEvent.objects.filter(delivered_at=None).count() == 2
    assert outbox.relay_once(["orders"]) == 0
    assert audit.look().findings == ()


def test_columns_that_are_not_named_get_their_defaults() -> None:
    now = goods.moment(utcnow())
    rows = [(7, "LAMP", "Lamp", 100, "USD", now, now, "lamp", "", "lamp", 1000)]
    columns = ("id", "sku", "name", "price_minor", "currency", "created_at", "updated_at", "name_key", "category_key")
    assert write(Product, (*columns, "search_text", "price_thousandths"), rows) == 1
    product = Product.objects.get()
    assert (product.pk, product.version, product.is_active, product.description) == (7, 1, True, "")
    assert Product.objects.create(sku="RUG", name="Rug", price_minor=1, currency="USD", price_thousandths=10).pk == 8
