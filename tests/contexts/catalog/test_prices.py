"""The history of a product's prices, and the lowest of the last 30 days."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from contexts.catalog import domain, services
from contexts.catalog.models import PriceChange, Product
from eci import clock
from tests.support import people


def make(price: str = "10", **more: Any) -> int:
    return int(services.create_product(actor="test", sku="A", name="Lamp", price=Decimal(price), **more)["id"])


def change(product_id: int, price: str, **more: Any) -> None:
    services.update_product(product_id=product_id, actor="staff:ann", price=Decimal(price), **more)


def days_ago(product_id: int, *days: float) -> None:
    """Move the product's changes, from its first on, to so many days ago."""
    for row, ago in zip(PriceChange.objects.filter(product=product_id).order_by("pk"), days, strict=True):
        PriceChange.objects.filter(pk=row.pk).update(at=clock.utcnow() - timedelta(days=ago))


def lowest(api: Any, product_id: int) -> Any:
    detail = api.get(f"/v1/products/{product_id}").data["lowest_price_30_days"]
    for path in ("/v1/products", "/v1/products/search?q=lamp"):
        [listed] = [row for row in api.get(path).data if row["product_id"] == product_id]
        assert listed["lowest_price_30_days"] == detail
    return detail


class TestHistory:
    def test_it_has_every_price_with_who_gave_it_newest_first(self, api: Any) -> None:
        product_id = make("10")
        change(product_id, "12.50")
        change(product_id, "1000", currency="JPY")
        first = api.get(f"/v1/products/{product_id}/prices?limit=2")
        told = [(row["price"], row["currency"], row["old_price"], row["old_currency"]) for row in first.data]
        assert told == [("1000", "JPY", "12.50", "USD"), ("12.50", "USD", "10.00", "USD")]
        assert first.data[0]["actor"] == "staff:ann"
        rest = api.get(first.json["meta"]["next"].partition("testserver")[2])
        assert [(row["price"], row["old_price"], row["actor"]) for row in rest.data] == [("10.00", None, "test")]
        assert rest.json["meta"]["next"] is None

    def test_the_public_reads_no_names(self, api: Any) -> None:
        product_id = make()
        change(product_id, "11")
        told = people.customer("bob@example.com").get(f"/v1/products/{product_id}/prices").data
        assert [row["actor"] for row in told] == ["staff", "staff"], "commands neither"

    def test_an_unknown_product_is_not_found(self, api: Any) -> None:
        assert api.get("/v1/products/999/prices").status == 404
        assert api.get("/v1/products/1/prices?ordering=at").status == 400


class TestLowest:
    def test_a_new_product_has_its_own(self, api: Any) -> None:
        assert lowest(api, make("10")) == "10.00"

    def test_a_price_that_has_just_gone_up_was_lower(self, api: Any) -> None:
        product_id = make("10")
        change(product_id, "15")
        assert lowest(api, product_id) == "10.00"

    @pytest.mark.parametrize(
        ("ago", "expected"),
        [
            ((90, 60, 40), "12.00"),  # all before: the price of now has been in force all the time
            ((90, 60, 10), "8.00"),  # 8.00 was in force when the 30 days began
            ((90, 20, 10), "8.00"),
            ((25, 20, 10), "8.00"),
            ((90, 60, 29.99), "8.00"),
            ((90, 60, 30.01), "12.00"),
        ],
    )
    def test_what_was_in_force_within_30_days_counts(self, api: Any, ago: Any, expected: str) -> None:
        product_id = make("10")
        change(product_id, "8")
        change(product_id, "12")
        days_ago(product_id, *ago)
        assert lowest(api, product_id) == expected

    def test_the_window_is_half_open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        product_id = make("10")
        change(product_id, "12")
        at = PriceChange.objects.latest("pk").at

        def lowest_at(now: datetime) -> int:
            monkeypatch.setattr("contexts.catalog.selectors.utcnow", lambda: now)
            from contexts.catalog import selectors

            return int(selectors.product(product_id=product_id)["lowest_minor"])

        assert lowest_at(at + domain.LOWEST_PRICE) == 1200, "at the first instant the new price is in force"
        assert lowest_at(at + domain.LOWEST_PRICE - timedelta(microseconds=1)) == 1000

    def test_prices_of_another_currency_are_not_compared(self, api: Any) -> None:
        product_id = make("10")
        change(product_id, "1000", currency="JPY")
        assert lowest(api, product_id) == "1000"

    def test_the_tag_changes_when_the_lowest_price_does(self, api: Any) -> None:
        product_id = make("10")
        path = f"/v1/products/{product_id}"
        tag = api.patch(path, {"price": 15}).headers["ETag"]
        assert tag == api.get(path).headers["ETag"] != '"2"'
        assert api.get(path, **{"If-None-Match": tag}).status == 304
        days_ago(product_id, 90, 40)
        later = api.get(path, **{"If-None-Match": tag})
        assert (later.status, later.headers["ETag"], later.data["lowest_price_30_days"]) == (200, '"2"', "15.00")
        assert api.patch(path, {"name": "Light"}, **{"If-Match": tag}).status == 200, "it is the same version"

    def test_only_what_has_changed_lately_costs_a_statement_more_for_all_of_a_page(
        self, api: Any, statements: Any
    ) -> None:
        made = [
            services.create_product(actor="test", sku=f"P{number}", name="x", price=Decimal(9))["id"]
            for number in range(3)
        ]

        def asked() -> int:
            with statements() as counted:
                api.get("/v1/products?limit=100")
            return int(counted.total)

        assert asked() == 1
        for product_id in made:
            change(product_id, "10")
        assert asked() == 2
        Product.objects.update(updated_at=clock.utcnow() - domain.LOWEST_PRICE - timedelta(days=1))
        assert asked() == 1
