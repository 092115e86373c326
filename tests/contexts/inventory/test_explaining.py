"""Why a stock row's numbers are what they are: over HTTP, for staff, and by ``manage.py explain``."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from contexts.catalog.models import Product
from contexts.inventory.models import Stock
from tests.support.api import Api
from tests.support.shop import Shop


def explain(api: Api, product_id: int, warehouse: str) -> dict[str, object]:
    row = Stock.objects.get(product_id=product_id, warehouse=warehouse)
    answer = api.get(f"/v1/inventory/{row.pk}/explain")
    assert answer.status == 200
    return dict(answer.data)


def hold(api: Api, product_id: int, quantity: int, key: str, **more: object) -> dict[str, object]:
    body = {"product_id": product_id, "quantity": quantity, "idempotency_key": key} | more
    return dict(api.post("/v1/inventory/reserve", body).data)


def test_who_holds_what_and_why(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=8)
    first = hold(api, product_id, 2, "walk-in")
    hold(api, product_id, 1, "asked", warehouse="A", order_id="X-1")
    api.post("/v1/inventory/confirm", {"idempotency_key": "asked", "order_id": "X-1"})
    told = explain(api, product_id, "A")
    assert (told["on_hand"], told["reserved"], told["owed"], told["available"]) == (8, 3, 0, 5)
    assert told["holds"] == [
        {
            "reservation_id": first["reservation_id"],
            "order_id": None,
            "quantity": 2,
            "state": "OPEN",
            "paying": False,
            "expires_at": first["expires_at"],
            "why_here": "first single warehouse",
        },
        {
            "reservation_id": told["holds"][1]["reservation_id"],  # type: ignore[index]
            "order_id": "X-1",
            "quantity": 1,
            "state": "OPEN",
            "paying": False,
            "expires_at": None,
            "why_here": "this warehouse was asked for",
        },
    ]
    assert [line["delta"] for line in told["last_movements"]] == [8]  # type: ignore[attr-defined]
    until = first["expires_at"]
    assert told["sentence"] == (
        "8 on hand - 3 reserved - 0 owed = 5 available. "
        f"Reserved: 2 for reservation walk-in, unpaid, until {until}; 1 for X-1, firm."
    )


def test_what_has_expired_holds_nothing(api: Api, stocked: Callable[..., int], run_out: Callable[[str], None]) -> None:
    product_id = stocked(A=8)
    hold(api, product_id, 2, "late")
    run_out("late")
    told = explain(api, product_id, "A")
    assert (told["reserved"], told["available"], told["holds"]) == (0, 8, [])
    assert told["sentence"] == "8 on hand - 0 reserved - 0 owed = 8 available."


def test_what_is_owed_here_and_elsewhere(shop: Shop) -> None:
    order = shop.order(2, product_id=shop.other_id, fulfilment="warehouse").data["order_id"]
    for code in ("WH002", "WH001"):
        row = Stock.objects.get(product_id=shop.other_id, warehouse=code)
        shop.api.patch(f"/v1/inventory/{row.pk}", {"onhand": 0, "reason": "theft", "force": True})
    here = explain(shop.api, shop.other_id, "WH001")
    assert (here["owed"], here["available"]) == (2, 0)
    assert here["sentence"] == (
        "0 on hand - 0 reserved - 2 owed = -2, so 0 are available. "
        f"Owed: 2 for {order}, paid, and a stock count did not find them."
    )
    assert [one["state"] for one in here["holds"]] == ["SHORT"]  # type: ignore[attr-defined]
    elsewhere = explain(shop.api, shop.other_id, "WH002")
    assert (elsewhere["owed"], elsewhere["owed_elsewhere"], elsewhere["available"]) == (0, 2, 0)
    assert "2 of those owed are owed from other warehouses." in str(elsewhere["sentence"])


def test_a_closed_warehouse_is_said_in_words(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=8)
    api.patch("/v1/warehouses/A", {"is_active": False})
    told = explain(api, product_id, "A")
    assert (told["is_active"], told["available"]) == (False, 0)
    assert told["sentence"] == (
        "8 on hand - 0 reserved - 0 owed = 8, but nothing is sold from A: the warehouse is not active."
    )


def test_many_holds_are_counted_and_cost_no_statement_each(
    api: Api, stocked: Callable[..., int], statements: Callable[[], object]
) -> None:
    product_id = stocked(A=500)
    for number in range(7):
        hold(api, product_id, 1, f"k{number}")
    assert "; and 2 more." in str(explain(api, product_id, "A")["sentence"])
    with statements() as few:  # type: ignore[attr-defined]
        explain(api, product_id, "A")
    for number in range(7, 110):
        hold(api, product_id, 1, f"k{number}")
    with statements() as many:  # type: ignore[attr-defined]
        told = explain(api, product_id, "A")
    assert (len(told["holds"]), told["more_holds"]) == (100, 10)  # type: ignore[arg-type]
    assert "; and 105 more." in str(told["sentence"])
    assert many.total <= few.total + 1, "one counts the rest"


def test_a_row_that_is_not_there(api: Api) -> None:
    assert api.get("/v1/inventory/987654/explain").status == 404


def test_the_command(api: Api, stocked: Callable[..., int]) -> None:
    product_id = stocked(A=8, B=1)
    hold(api, product_id, 2, "walk-in")
    sku = Product.objects.get(pk=product_id).sku
    said = StringIO()
    call_command("explain", sku, stdout=said)
    assert f"{sku} in A: 8 on hand - 2 reserved - 0 owed = 6 available." in said.getvalue()
    assert f"{sku} in B: 1 on hand - 0 reserved - 0 owed = 1 available." in said.getvalue()
    with pytest.raises(CommandError, match="There is no product NOTHING."):
        call_command("explain", "NOTHING")


def test_staff_reads_it(api: Api, stocked: Callable[..., int], admin_client: Client) -> None:
    product_id = stocked(A=8)
    row = Stock.objects.get(product_id=product_id)
    page = admin_client.get(f"/admin/inventory/stock/{row.pk}/change/")
    assert "8 on hand - 0 reserved - 0 owed = 8 available." in page.content.decode()
