"""Lists, page by page: every row once, in both directions, while rows are added."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.product import DemoShop, Product, wait_until

pytestmark = pytest.mark.e2e

LISTS = [
    "products", "products?ordering=price", "products?ordering=-name", "products/search?q=demo", "inventory",
    "inventory/reservations", "inventory/movements", "warehouses?ordering=name", "customers", "orders",
    "orders?ordering=created_at", "payments", "shipments", "notifications",
]  # fmt: skip
PAGES = 12
SIZE = 3


@pytest.fixture(scope="module", autouse=True)
def _rows(product: Product) -> None:
    demo = DemoShop(product.api)
    product_id = demo.sell("LISTED", WH001=100)
    placed = [demo.order(product_id, 1).data["order_id"] for _ in range(10)]
    wait_until(lambda: all(len(demo.notices(order_id)) == 2 for order_id in placed), 60, "notices to list")


@pytest.mark.parametrize("path", LISTS)
def test_every_row_stands_on_one_page(product: Product, path: str) -> None:
    def named(rows: list[Any]) -> list[Any]:
        return [next(iter(row.values())) for row in rows]

    start = f"/v1/{path}{'&' if '?' in path else '?'}limit="
    expected = named(product.api.get(f"{start}100").data)[: PAGES * SIZE]
    seen: list[Any] = []
    following: str | None = f"{start}{SIZE}"
    pages = []
    while following and len(pages) < PAGES:
        page = product.api.get(following)
        pages.append(page)
        seen += named(page.data)
        following = page.json["meta"]["next"]
    assert seen == expected and len(set(seen)) == len(seen)

    for later, earlier in zip(reversed(pages[1:]), reversed(pages[:-1]), strict=True):
        back = product.api.get(later.json["meta"]["previous"])
        assert named(back.data) == named(earlier.data)
    assert pages[0].json["meta"]["previous"] is None
