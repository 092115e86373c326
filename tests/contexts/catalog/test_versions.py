"""Two who change one product: the second is told, or only what each of them changed is written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contexts.catalog import services
from eci.errors import PreconditionFailed


@pytest.fixture
def product_id() -> int:
    return int(services.create_product(actor="test", sku="A", name="Lamp", price=Decimal("5"))["id"])


def test_each_change_that_can_be_seen_raises_the_version(product_id: int) -> None:
    def change(**fields: Any) -> int:
        return int(services.update_product(product_id=product_id, actor="test", **fields)["version"])

    assert [change(name="Lamp"), change(name="Light"), change(price=Decimal(6)), change(is_active=False)] == [
        1,
        2,
        3,
        4,
    ]
    services.deactivate_products(product_ids=[product_id], actor="test")
    assert change() == 4, "it was off sale already"


def test_a_change_to_another_version_is_refused(product_id: int) -> None:
    services.update_product(product_id=product_id, actor="test", version=1, price=Decimal(6))
    with pytest.raises(PreconditionFailed):
        services.update_product(product_id=product_id, actor="test", version=1, name="Light")
    row = services.update_product(product_id=product_id, actor="test", version=2, name="Light")
    assert (row["name"], row["price_minor"], row["version"]) == ("Light", 600, 3)
