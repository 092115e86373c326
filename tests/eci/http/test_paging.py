"""Pages by cursor show every row once, forwards and backwards, even if rows are added meanwhile."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.api import Answer, Api


def product(api: Api, name: str, price: int = 1) -> int:
    made = api.post("/v1/products", {"sku": f"SKU-{name}", "name": name, "price": price})
    return int(made.data["product_id"])


def ids(answer: Answer, name: str = "product_id") -> list[Any]:
    return [row[name] for row in answer.data]


def follow(api: Api, answer: Answer, direction: str) -> Answer:
    url = urlsplit(answer.json["meta"][direction])
    return api.get(f"{url.path}?{url.query}")


def walk(api: Api, url: str, direction: str = "next") -> list[Answer]:
    pages = [api.get(url)]
    while pages[-1].json["meta"][direction] and len(pages) < 50:
        pages.append(follow(api, pages[-1], direction))
    return pages


def cursor(answer: Answer, direction: str = "next") -> str:
    return parse_qs(urlsplit(answer.json["meta"][direction]).query)["cursor"][0]


def test_newest_first_every_row_once(api: Api) -> None:
    made = [product(api, f"N{number}") for number in range(7)]
    pages = walk(api, "/v1/products?limit=3")
    assert [ids(page) for page in pages] == [made[:3:-1], made[3:0:-1], made[:1]]
    assert pages[0].json["meta"]["previous"] is None
    assert {page.json["meta"]["limit"] for page in pages} == {3}


def test_back_again_gives_the_same_pages(api: Api) -> None:
    for number in range(7):
        product(api, f"N{number}")
    there = walk(api, "/v1/products?limit=3&ordering=name")
    back = [there[-1]]
    while back[-1].json["meta"]["previous"]:
        back.append(follow(api, back[-1], "previous"))
    assert [ids(page) for page in back] == [ids(page) for page in reversed(there)]
    assert ids(follow(api, back[-1], "next")) == ids(there[1])


@pytest.mark.parametrize("ordering", ["created_at", "-created_at", "price", "-price", "name", "-name"])
def test_ties_are_neither_lost_nor_repeated(api: Api, ordering: str) -> None:
    made = [product(api, f"N{number % 2}-{number}", price=number % 3) for number in range(9)]
    found = [row for page in walk(api, f"/v1/products?limit=2&ordering={ordering}") for row in page.data]
    assert sorted(row["product_id"] for row in found) == made
    values = [row[ordering.lstrip("-")] for row in found]
    assert values == sorted(values, reverse=ordering.startswith("-"))


def test_pages_stay_stable_while_rows_are_added(api: Api) -> None:
    made = [product(api, f"N{number}") for number in range(4)]
    first = api.get("/v1/products?limit=2")
    added = [product(api, f"A{number}") for number in range(3)]
    second = follow(api, first, "next")
    assert ids(first) + ids(second) == made[::-1]
    assert ids(follow(api, second, "previous")) == ids(first)
    newer = follow(api, follow(api, second, "previous"), "previous")
    assert ids(newer) == added[1::-1], "the two next to the first page"


def test_filters_stay_in_the_links(api: Api) -> None:
    for number in range(4):
        body = {"sku": f"S{number}", "name": "N", "price": 1, "category": "Even" if number % 2 == 0 else "Odd"}
        api.post("/v1/products", body)
    found = [row["category"] for page in walk(api, "/v1/products?limit=1&category=even") for row in page.data]
    assert found == ["Even", "Even"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "abc", "1.5", "9" * 400, "%00", "1e1"])
def test_a_bad_limit_is_a_400(api: Api, limit: str) -> None:
    answer = api.get(f"/v1/products?limit={limit}")
    assert (answer.status, answer.code) == (400, "validation_error")


@pytest.mark.parametrize("limit", [1, 100])
def test_the_bounds_of_a_limit(api: Api, limit: int) -> None:
    assert api.get(f"/v1/products?limit={limit}").json["meta"]["limit"] == limit


def test_a_cursor_that_is_not_ours_is_a_400(api: Api) -> None:
    for number in range(3):
        product(api, f"N{number}")
    mine = cursor(api.get("/v1/products?limit=1"))
    payload, stamp, signature = mine.rsplit(":", 2)
    forged = [
        "abc",
        "a:b:c",
        "%00",
        "x" * 5_000,
        mine[:-1] + ("A" if mine[-1] != "A" else "B"),
        f"{payload}x:{stamp}:{signature}",
        f"{payload}:{stamp}",
        f"{mine}:{mine}",
        "ü",
    ]
    assert api.get(f"/v1/products?limit=1&cursor={mine}").status == 200
    for other in forged:
        answer = api.get(f"/v1/products?limit=1&cursor={other}")
        assert (answer.status, answer.code) == (400, "validation_error"), other


def test_a_cursor_belongs_to_its_ordering(api: Api) -> None:
    for number in range(3):
        product(api, f"N{number}")
    by_age = cursor(api.get("/v1/products?limit=1"))
    for ordering in ("created_at", "name", "-price"):
        answer = api.get(f"/v1/products?limit=1&ordering={ordering}&cursor={by_age}")
        assert (answer.status, set(answer.details)) == (400, {"cursor"})
    assert api.get(f"/v1/products?limit=1&ordering=-created_at&cursor={by_age}").status == 200


def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    for number in range(2):
        api.post("/v1/warehouses", {"code": f"W{number}", "name": f"W{number}"})
    cursor_of_warehouses = cursor(api.get("/v1/warehouses?limit=1"))
    for url in ("/v1/products", "/v1/customers", "/v1/inventory", "/v1/orders", "/v1/payments", "/v1/shipments"):
        answer = api.get(f"{url}?limit=1&cursor={cursor_of_warehouses}")
        assert (answer.status, set(answer.details or {})) == (400, {"cursor"}), url


def fill(api: Api) -> None:
    """Put some rows into every list, as fast as possible."""
    customer = ""
    for number in range(4):
        person = {"email": f"p{number}@example.com", "full_name": "P", "password": "correct horse"}
        customer = api.post("/v1/users/register", person).data["customer_id"]
        api.post("/v1/warehouses", {"code": f"W{number}", "name": f"W{number}"})
    lamp = product(api, "Lamp", 5)
    for number in range(4):
        api.post("/v1/inventory", {"product_id": lamp, "warehouse": f"W{number}", "onhand": 20})
        api.post("/v1/inventory/reserve", {"product_id": lamp, "quantity": 1})
        api.post("/v1/payments", {"order_id": f"X{number}", "amount": 5})
        api.post("/v1/shipments", {"order_id": f"X{number}"})
        api.post("/v1/notifications", {"type": "email", "recipient": "a@example.com", "message": "Hello"})
        body = {"customer_id": customer, "items": [{"product_id": lamp, "quantity": 1}]}
        assert api.post("/v1/orders", body).status == 201


def test_every_list_gives_every_row_once_in_both_directions(api: Api) -> None:
    fill(api)
    lists = {
        "/v1/customers": "customer_id",
        "/v1/warehouses": "code",
        "/v1/warehouses?ordering=name": "code",
        "/v1/inventory": "inventory_id",
        "/v1/inventory/reservations": "reservation_id",
        "/v1/inventory/reservations?ordering=created_at": "reservation_id",
        "/v1/inventory/movements": "movement_id",
        "/v1/orders": "order_id",
        "/v1/orders?ordering=created_at": "order_id",
        "/v1/payments": "payment_id",
        "/v1/shipments": "shipment_id",
        "/v1/notifications": "notification_id",
    }
    for url, name in lists.items():
        whole = ids(api.get(f"{url}{'&' if '?' in url else '?'}limit=100"), name)
        assert len(whole) >= 4, url
        there = walk(api, f"{url}{'&' if '?' in url else '?'}limit=1")
        assert [row for page in there for row in ids(page, name)] == whole, url
        back = [there[-1]]
        while back[-1].json["meta"]["previous"] and len(back) < 50:
            back.append(follow(api, back[-1], "previous"))
        assert [row for page in back for row in ids(page, name)] == whole[::-1], url


@pytest.mark.parametrize(
    "query", ["limit=1.0", "limit=+1", "limit=1e1", "is_active=yes", "category=%ff", "category=a%C3"]
)
def test_a_parameter_that_is_none_is_refused(api: Api, query: str) -> None:
    refused = api.get(f"/v1/products?{query}")
    assert (refused.status, refused.code) == (400, "validation_error")


def test_a_yes_or_no_may_be_a_digit(api: Api) -> None:
    one, other = product(api, "A"), product(api, "B")
    api.patch(f"/v1/products/{other}", {"is_active": False})
    for yes, no in (("true", "false"), ("1", "0"), ("TRUE", "False")):
        assert ids(api.get(f"/v1/products?is_active={yes}")) == [one]
        assert ids(api.get(f"/v1/products?is_active={no}")) == [other]
