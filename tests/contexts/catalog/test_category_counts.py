"""How many products each category has, as it is kept beside them."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from contexts.catalog import category_counts, selectors, services, tasks
from contexts.catalog.domain import category_key
from contexts.catalog.models import CategoryCount, Product
from eci.paging import Paging
from tests.support.imports import Importing, csv
from tests.support.world import ON_SERVERS

SPELLINGS = ("Home", "HOME", "home", "Garden", "garden", "Toys & Games", "Ünd", "ünd", "")
ONE = Decimal(1)
PAGE = Paging(limit=100, order="category_key")


def counted(*, include_inactive: bool) -> list[dict[str, Any]]:
    """What a page has to say, from the products themselves."""
    rows = [row for row in Product.objects.all() if row.category and (include_inactive or row.is_active)]
    return [
        {
            "category_key": key,
            "label": min(row.category for row in rows if row.category_key == key),
            "product_count": sum(row.category_key == key for row in rows),
        }
        for key in sorted({row.category_key for row in rows})
    ]


def assert_counts() -> None:
    for include_inactive in (True, False):
        assert selectors.categories(paging=PAGE, include_inactive=include_inactive) == counted(
            include_inactive=include_inactive
        )


def write(chance: random.Random) -> None:
    """One of the ways in which products come and change, those of services and those past them."""
    ids = list(Product.objects.values_list("pk", flat=True))
    some = chance.sample(ids, min(len(ids), 3))
    category = chance.choice(SPELLINGS)
    match chance.randrange(6) if ids else 0:
        case 0:
            sku = f"P{chance.randrange(10**9)}"
            services.create_product(actor="test", sku=sku, name="A", price=ONE, category=category)
        case 1:
            services.update_product(product_id=some[0], actor="test", category=category)
        case 2:
            services.update_product(product_id=some[0], actor="test", is_active=chance.random() < 0.5)
        case 3:
            services.deactivate_products(product_ids=some, actor="test")
        case 4:
            Product.objects.filter(pk__in=some).update(category=category, category_key=category_key(category))
        case _:
            Product.objects.bulk_create(
                Product(
                    sku=f"B{chance.randrange(10**9)}",
                    name="B",
                    category=category,
                    category_key=category_key(category),
                    currency="USD",
                    price_minor=1,
                    price_thousandths=10,
                )
                for _ in range(3)
            )


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_the_products_whoever_wrote_them(seed: int) -> None:
    chance = random.Random(seed)
    for turn in range(40):
        write(chance)
        if turn % 10 == 9:
            assert_counts()
        if turn == 24:
            category_counts.add_up()
            assert_counts()
    Product.objects.filter(sku__startswith="B")._raw_delete("catalog")  # these have no prices
    assert_counts()


def test_an_import_is_counted(importing: Importing) -> None:
    importing.take(csv("sku,name,price,category", "A,a,1,Home", "B,b,1,HOME", "C,c,1,Toys"))
    assert counted(include_inactive=True), "the file has products"
    assert_counts()


def test_what_has_gathered_is_added_up() -> None:
    for number in range(5):
        services.create_product(actor="test", sku=f"P{number}", name="A", price=ONE, category="Home")
    services.create_product(actor="test", sku="H", name="A", price=ONE, category="HOME")
    services.deactivate_products(product_ids=[Product.objects.get(sku="P0").pk], actor="test")
    services.update_product(product_id=Product.objects.get(sku="H").pk, actor="test", category="Toys")
    tasks.prune()
    kept = CategoryCount.objects.values_list("category", "is_active", "products")
    assert sorted(kept) == [("Home", False, 1), ("Home", True, 4), ("Toys", True, 1)]
    assert_counts()
    before = set(CategoryCount.objects.values_list("pk", flat=True))
    category_counts.add_up()
    assert set(CategoryCount.objects.values_list("pk", flat=True)) == before, (
        "nothing is written where nothing gathered"
    )


def test_more_than_a_step_is_added_up_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(category_counts, "STEP", 3)
    for number in range(10):
        services.create_product(actor="test", sku=f"P{number}", name="A", price=ONE, category="Home")
    category_counts.add_up()
    assert list(CategoryCount.objects.values_list("category", "is_active", "products")) == [("Home", True, 10)]


def test_a_page_reads_no_product() -> None:
    services.create_product(actor="test", sku="A", name="A", price=ONE, category="Home")
    with CaptureQueriesContext(connections["catalog"]) as asked:
        assert selectors.categories(paging=PAGE, include_inactive=True)[0]["product_count"] == 1
    assert len(asked) == 1
    assert "catalog_product" not in asked[0]["sql"]


def test_an_engine_without_them_counts_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    services.create_product(actor="test", sku="A", name="A", price=ONE, category="Home")
    services.create_product(actor="test", sku="B", name="A", price=ONE, category="HOME")
    monkeypatch.setattr(category_counts, "KEEPING", ())
    CategoryCount.objects.all().delete()
    assert_counts()
    category_counts.add_up()
    assert not CategoryCount.objects.exists()


@pytest.mark.any_engine
def test_a_shop_of_before_is_counted_once_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services.create_product(actor="test", sku="A", name="A", price=ONE, category="Home")
    file = connections["catalog"].copy("catalog")
    file.settings_dict["NAME"] = tmp_path / "catalog.sqlite3"
    monkeypatch.setattr(category_counts, "connections", {"catalog": file})
    with file.schema_editor() as editor:
        editor.create_model(Product)
    columns = ", ".join(field.column for field in Product._meta.concrete_fields)
    with connections["catalog"].cursor() as there, file.cursor() as here:
        there.execute(f"SELECT {columns} FROM catalog_product")  # noqa: S608
        [row] = there.fetchall()
        insert = f"INSERT INTO catalog_product ({columns}) VALUES ({', '.join(['%s'] * len(row))})"  # noqa: S608
        here.execute(insert, row)
        for _ in range(2):
            category_counts.install(using="catalog")
        here.execute("UPDATE catalog_product SET category = 'HOME', is_active = 0")
        here.execute("SELECT category, is_active, products FROM catalog_categorycount ORDER BY id")
        assert here.fetchall() == [("Home", 1, 1), ("Home", 1, -1), ("HOME", 0, 1)]
    file.close()


@pytest.mark.skipif(not ON_SERVERS, reason="SQLite changes no table within a test's transaction: see the test before")
def test_a_shop_of_before_is_counted_once() -> None:
    services.create_product(actor="test", sku="A", name="A", price=ONE, category="Home")
    with connections["catalog"].cursor() as cursor:
        cursor.execute("DROP TABLE catalog_categorycount CASCADE")
        for name in category_counts._ON_POSTGRESQL:
            cursor.execute(f"DROP FUNCTION {name} CASCADE")
    category_counts.install(using="catalog")
    assert_counts()
    services.create_product(actor="test", sku="B", name="A", price=ONE, category="HOME")
    category_counts.install(using="catalog")
    assert_counts()
