"""Catalog's contract: what other contexts learn about products."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from contexts.catalog import services
from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product, ProductNotFound


def make(sku: str) -> int:
    return int(services.create_product(actor="test", sku=sku, name=sku, price=Decimal("1.50"))["id"])


def test_products_by_id_active_or_not() -> None:
    one, two = make("A"), make("B")
    services.deactivate_products(product_ids=[two], actor="test")
    found = catalog.products(product_ids=[two, one, two])
    assert found == {
        one: Product(product_id=one, sku="A", name="A", price=Decimal("1.50"), currency="USD", is_active=True),
        two: Product(product_id=two, sku="B", name="B", price=Decimal("1.50"), currency="USD", is_active=False),
    }


def test_the_first_unknown_one_is_named() -> None:
    one = make("A")
    with pytest.raises(ProductNotFound, match="999998") as refusal:
        catalog.products(product_ids=[one, 999_998, 999_997])
    assert refusal.value.details == {"product_id": 999_998}


def test_known_products() -> None:
    one = make("A")
    assert catalog.known_products(product_ids=[one, 999_999]) == {one}
    assert catalog.known_products(product_ids=[]) == set()


def test_any_number_of_products_is_one_select() -> None:
    ids = [make(f"P{number}") for number in range(30)]
    with CaptureQueriesContext(connections["catalog"]) as queries:
        catalog.products(product_ids=iter(ids))
    assert len(queries) == 1
    assert "JOIN" not in queries[0]["sql"]


def test_more_ids_than_one_statement_takes() -> None:
    with pytest.raises(ProductNotFound):
        catalog.products(product_ids=range(10**6, 10**6 + 2000))
    assert catalog.known_products(product_ids=range(10**6, 10**6 + 2000)) == set()
