"""A customer's addresses, for staff and for their owner."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.customers.models import Address

HOME = {"line1": "1 Main Street", "city": "Springfield", "postal_code": "12345", "country": "US"}


@pytest.fixture
def path(api: Any) -> str:
    body = {"email": "ann@example.com", "full_name": "Ann", "password": "pass123"}
    customer_id = api.post("/v1/users/register", body).data["customer_id"]
    return f"/v1/customers/{customer_id}/addresses"


def test_add_read_change_and_remove(api: Any, path: str) -> None:
    added = api.post(path, HOME).data
    one = f"{path}/{added['address_id']}"
    assert {name: added[name] for name in HOME} == HOME
    assert [added[name] for name in ("full_name", "line2", "region", "phone")] == [""] * 4
    assert api.get(one).data == added
    assert api.get(path).data == [added]
    changed = api.patch(one, {"line2": "Flat 2", "phone": "+1 555-0100"}).data
    assert changed == added | {"line2": "Flat 2", "phone": "+1 555-0100", "updated_at": changed["updated_at"]}
    assert api.delete(one).status == 204
    assert [api.get(one).status, api.patch(one, {"city": "X"}).status, api.delete(one).status] == [404] * 3
    assert api.get(path).data == []


def test_newest_first_in_pages(api: Any, path: str) -> None:
    for number in range(3):
        api.post(path, HOME | {"line1": str(number)})
    assert [row["line1"] for row in api.get(f"{path}?limit=2").data] == ["2", "1"]
    assert api.get(f"{path}?limit=2").json["meta"]["next"]


def test_another_customers_address_is_not_found(api: Any, path: str) -> None:
    address_id = api.post(path, HOME).data["address_id"]
    body = {"email": "bob@example.com", "full_name": "Bob", "password": "pass123"}
    other = f"/v1/customers/{api.post('/v1/users/register', body).data['customer_id']}/addresses/{address_id}"
    assert [api.get(other).status, api.patch(other, {"city": "X"}).status, api.delete(other).status] == [404] * 3
    assert Address.objects.get().city == "Springfield"


def test_an_unknown_customer_has_none(api: Any) -> None:
    path = "/v1/customers/999999/addresses"
    assert [api.get(path).status, api.post(path, HOME).status] == [404, 404]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("line1", ""),
        ("line1", "x" * 201),
        ("line1", 5),
        ("city", None),
        ("city", "x" * 101),
        ("country", " "),
        ("postal_code", 12345),
        ("postal_code", "x" * 21),
        ("phone", "x"),
    ],
)
def test_refuses_bad_fields_by_name(api: Any, path: str, field: str, value: Any) -> None:
    answer = api.post(path, HOME | {field: value})
    assert (answer.status, list(answer.details)) == (400, [field])


def test_idempotency(api: Any, path: str) -> None:
    first = api.post(path, HOME, key="k")
    again = api.post(path, HOME, key="k")
    assert (first.status, again.status, again.data) == (200, 200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert api.post(path, HOME | {"city": "X"}, key="k").status == 422
    assert Address.objects.count() == 1


def test_one_s_own(api: Any, path: str) -> None:
    login = api.post("/v1/users/login", {"email": "ann@example.com", "password": "pass123"}).data
    signed_in = {"Authorization": f"Bearer {login['access']}"}
    added = api.post("/v1/users/me/addresses", HOME, key="k", **signed_in).data
    assert api.post("/v1/users/me/addresses", HOME, key="k", **signed_in).data == added
    one = f"/v1/users/me/addresses/{added['address_id']}"
    assert api.get("/v1/users/me/addresses", **signed_in).data == api.get(path).data == [added]
    assert api.patch(one, {"city": "Shelbyville"}, **signed_in).data["city"] == "Shelbyville"
    assert api.get(one, **signed_in).data["city"] == "Shelbyville"
    assert api.send("DELETE", one, **signed_in).status == 204
    assert api.get(one, **signed_in).status == 404


def test_who_is_no_customer_has_none(api: Any) -> None:
    for path in ("/v1/users/me", "/v1/users/me/addresses", "/v1/users/me/addresses/1"):
        assert api.get(path).status == 404
