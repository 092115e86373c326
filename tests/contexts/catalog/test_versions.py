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


class TestOverTheApi:
    def test_a_read_names_the_version(self, api: Any, product_id: int) -> None:
        path = f"/v1/products/{product_id}"
        assert api.get(path).headers["ETag"] == '"1"'
        assert api.patch(path, {"name": "Light"}).headers["ETag"] == '"2"'
        assert api.get(path, **{"If-None-Match": '"2"'}).status == 304
        assert api.get(path, **{"If-None-Match": '"1"'}).status == 200

    def test_a_sku_that_passed_to_another_product_is_read_anew(self, api: Any, product_id: int) -> None:
        first = api.get("/v1/products/sku/A")
        tag = first.headers["ETag"]
        assert api.get("/v1/products/sku/A", **{"If-None-Match": tag}).status == 304
        api.patch(f"/v1/products/{product_id}", {"sku": "A-OLD"}, **{"If-Match": tag})
        api.post("/v1/products", {"sku": "A", "name": "New lamp", "price": 9})
        now = api.get("/v1/products/sku/A", **{"If-None-Match": tag})
        assert (now.status, now.data["name"]) == (200, "New lamp")

    @pytest.mark.parametrize("tag", ['"1"', '"3"', '"nope"', "nope", ""])
    @pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
    def test_another_version_is_not_changed(self, api: Any, product_id: int, method: str, tag: str) -> None:
        path = f"/v1/products/{product_id}"
        api.patch(path, {"price": "6"})
        before = api.get(path).data
        answer = api.send(method, path, {"sku": "A", "name": "B", "price": 1}, **{"If-Match": tag})
        assert (answer.status, answer.code) == (412, "precondition_failed")
        assert api.get(path).data == before

    @pytest.mark.parametrize("tag", ['"1"', "*", '"1", "2"', None])
    @pytest.mark.parametrize(("method", "status"), [("PATCH", 200), ("PUT", 200), ("DELETE", 204)])
    def test_this_version_is(self, api: Any, product_id: int, method: str, status: int, tag: str | None) -> None:
        path = f"/v1/products/{product_id}"
        body = {"sku": "A", "name": "B", "price": 1}
        assert api.send(method, path, body, **({"If-Match": tag} if tag else {})).status == status
        assert api.get(path).headers["ETag"] == '"2"'

    def test_a_repeated_change_gets_its_answer_again(self, api: Any, product_id: int) -> None:
        path = f"/v1/products/{product_id}"
        answers = [api.send("PATCH", path, {"name": "B"}, key="k", **{"If-Match": '"1"'}) for _ in range(2)]
        assert [(answer.status, answer.data["name"]) for answer in answers] == [(200, "B")] * 2
