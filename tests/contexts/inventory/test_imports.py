"""Stock counts and receipts from files: places, quantities, the ledger, and how they are taken back."""

from __future__ import annotations

from csv import DictReader
from io import StringIO
from typing import Any

import pytest

from contexts.inventory.models import Movement, Stock
from eci.clock import iso, utcnow
from tests.support.imports import Importing, csv, xlsx

TARTU = "Tartu mnt 50-4, Tallinn"
HERITAGE = "Main Office & Shop (Heritage Crest) on the market square"


@pytest.fixture
def counting(api: Any) -> Importing:
    for sku in ("0017", "LAMP", "RUG"):
        api.post("/v1/products", {"sku": sku, "name": sku, "price": "1"})
    for code, name in (("WH1", "Bugs"), ("WH2", TARTU), ("WH3", HERITAGE)):
        api.post("/v1/warehouses", {"code": code, "name": name})
    return Importing(api, kind="stock_counts")


@pytest.fixture
def one_place(api: Any) -> Importing:
    for sku in ("LAMP", "RUG"):
        api.post("/v1/products", {"sku": sku, "name": sku, "price": "1"})
    api.post("/v1/warehouses", {"code": "WH1", "name": "Main"})
    return Importing(api, kind="stock_counts")


def stock() -> dict[tuple[int, str], int]:
    return {(row.product_id, row.warehouse_id): row.on_hand for row in Stock.objects.all()}


def by_sku(importing: Importing) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in importing.api.get("/v1/inventory?limit=100").data:
        found.setdefault(row["sku"], {})[row["warehouse"]] = row["onhand"]
    return found


def refusals(importing: Importing, read: dict[str, Any]) -> dict[int, list[str]]:
    return {row["line"]: row["messages"] for row in importing.rows(read["import_id"], "&outcome=refused")}


def test_counts_are_written_to_the_ledger(counting: Importing) -> None:
    done = counting.take(csv("sku,warehouse,onhand", "0017,WH1,5", "LAMP,WH1,7", "LAMP,WH2,0"))
    assert (done["counts"]["new"], by_sku(counting)) == (3, {"0017": {"WH1": 5}, "LAMP": {"WH1": 7, "WH2": 0}})
    read = counting.read(csv("sku,warehouse,onhand", "0017,WH1,4", "LAMP,WH1,7"))
    rows = {row["key"]: (row["outcome"], row["changes"]) for row in counting.rows(read["import_id"])}
    assert rows == {"0017 @ wh1": ("changed", {"onhand": [5, 4]}), "LAMP @ wh1": ("same", {})}
    counting.apply(read["import_id"])
    last = Movement.objects.order_by("-pk")[0]
    assert (last.delta, last.kind, last.actor) == (-1, "count", f"import:{read['import_id']}")


def test_places_are_known_by_code_and_name_whatever_the_case(counting: Importing) -> None:
    lines = [f'LAMP,"{TARTU}",3', f'RUG,"{HERITAGE}",4', "0017,BUGS ,5", "LAMP,bugs,6", "RUG,Moon,7"]
    read = counting.read(csv("SKU,Location,Available", *lines))
    [refused] = counting.rows(read["import_id"], "&outcome=refused")
    assert refused["messages"][0].startswith("warehouse: There is no warehouse 'Moon'.")
    answered = counting.answer(read["import_id"], locations={"Moon": "WH1"})
    assert answered["counts"]["refused"] == 0
    counting.apply(read["import_id"])
    assert by_sku(counting) == {"LAMP": {"WH2": 3, "WH1": 6}, "RUG": {"WH3": 4, "WH1": 7}, "0017": {"WH1": 5}}


def test_two_names_of_one_place_are_one_row(counting: Importing) -> None:
    read = counting.read(csv("sku,warehouse,onhand", "LAMP,WH2,3", f'LAMP,"{TARTU}",4', f'LAMP,"{TARTU}",3'))
    assert counting.outcomes(read["import_id"]) == [(2, "new"), (3, "refused"), (4, "skipped")]
    assert refusals(counting, read) == {3: ["LAMP @ wh2 stands on line 2 already, with other values."]}


@pytest.mark.any_engine
def test_what_was_entered_counts_and_not_what_was_there(counting: Importing) -> None:
    header = "SKU,Current Quantity Bugs,New Quantity Bugs,New Quantity WH3,Current Quantity WH3"
    read = counting.read(csv(header, "LAMP,3,4,,7", "RUG,5,,6,"))
    rows = counting.rows(read["import_id"])
    assert [(row["key"], row["changes"]) for row in rows if row["outcome"] == "new"] == [
        ("LAMP @ wh1", {"onhand": [None, 4]}),
        ("RUG @ wh3", {"onhand": [None, 6]}),
    ]
    assert read["counts"]["skipped"] == 2


@pytest.mark.any_engine
def test_a_refused_place_comes_back_without_those_that_were_taken(counting: Importing) -> None:
    counting.kind = "receipts"
    read = counting.read(csv("SKU,Note,Current Quantity Bugs,Current Quantity WH3", "LAMP,x,3,many"))
    answer = counting.api.client.get(f"/v1/imports/{read['import_id']}/rows?outcome=refused&format=csv")
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert content.splitlines()[1].startswith("LAMP,x,,many,2,"), "sent again, it would be received twice"


def test_a_column_for_each_place(counting: Importing) -> None:
    content = csv(f"Token,SKU,Current Quantity Bugs,Current Quantity {HERITAGE}", "T1,LAMP,3,4", "T2,RUG,,5")
    read = counting.read(content)
    assert counting.outcomes(read["import_id"]) == [(2, "new"), (2, "new"), (3, "skipped"), (3, "new")]
    counting.apply(read["import_id"])
    assert by_sku(counting) == {"LAMP": {"WH1": 3, "WH3": 4}, "RUG": {"WH3": 5}}
    counting.take(xlsx(["sku", "WH1", "bugs "], ["LAMP", 9, None]), name="x.xlsx")
    assert by_sku(counting)["LAMP"]["WH1"] == 9


def test_what_shopify_s_new_leaves_blank_is_left_alone(counting: Importing) -> None:
    header = "Handle,Title,Option1 Value,SKU,Location,Available (not editable),On hand (current),On hand (new)"
    read = counting.read(csv(header, "lamp,Lamp,,LAMP,Bugs,5,6,", "rug,Rug,,RUG,Bugs,5,6,8", "x,X,,0017,Bugs,0,-4,-4"))
    assert counting.outcomes(read["import_id"]) == [(2, "skipped"), (3, "new"), (4, "refused")]
    assert "more was sold than there was" in refusals(counting, read)[4][0]
    counting.apply(read["import_id"])
    assert by_sku(counting) == {"RUG": {"WH1": 8}}


def test_on_hand_or_available_is_asked(counting: Importing) -> None:
    read = counting.read(csv("Handle,SKU,Location,Committed,Available,On hand", "lamp,LAMP,Bugs,2,3,5"))
    [asked] = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], set(asked["choices"])) == ("onhand", {"Available", "On hand"})
    counting.apply(counting.answer(read["import_id"], onhand="Available")["import_id"])
    assert by_sku(counting) == {"LAMP": {"WH1": 3}}


def test_stock_that_is_not_tracked_is_not_zero(one_place: Importing) -> None:
    read = one_place.read(
        csv(
            "ID,Type,SKU,Name,In stock?,Stock,Regular price",
            "1,simple,LAMP,L,1,,5",
            "2,variable,V,V,1,3,",
            "3,simple,RUG,R,1,4,5",
        )
    )
    assert one_place.outcomes(read["import_id"]) == [(2, "skipped"), (3, "skipped"), (4, "new")]
    one_place.apply(read["import_id"])
    assert by_sku(one_place) == {"RUG": {"WH1": 4}}, "the only warehouse needs no name"


def test_in_which_warehouse_is_asked(counting: Importing) -> None:
    read = counting.read(csv("sku,qty", "LAMP,3"))
    [asked] = [one for one in read["questions"] if one["needed"]]
    assert (asked["name"], asked["choices"], asked["answer"]) == ("warehouse", ["WH1", "WH2", "WH3"], None)
    counting.apply(counting.answer(read["import_id"], warehouse="WH2")["import_id"])
    assert by_sku(counting) == {"LAMP": {"WH2": 3}}


def test_a_closed_warehouse_is_not_offered(counting: Importing) -> None:
    for code in ("WH1", "WH3"):
        counting.api.patch(f"/v1/warehouses/{code}", {"is_active": False})
    read = counting.read(csv("sku,qty", "LAMP,3"))
    [asked] = [one for one in read["questions"] if one["name"] == "warehouse"]
    assert (asked["choices"], asked["answer"]) == (["WH2"], "WH2")


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("1.5", "onhand: Units are counted whole."),
        ("many", "onhand: 'many' is not a number in which '.' is the decimal sign."),
        ("1000000001", "onhand: A warehouse can have at most 1,000,000,000 units of a product."),
    ],
)
def test_what_is_no_count_is_refused(one_place: Importing, cell: str, sentence: str) -> None:
    assert refusals(one_place, one_place.read(csv("sku,onhand", f"LAMP,{cell}"))) == {2: [sentence]}


def test_units_are_whole_whatever_they_look_like(one_place: Importing) -> None:
    one_place.take(csv("sku,onhand", "LAMP,100.0000", 'RUG,"1,200"'))
    assert by_sku(one_place) == {"LAMP": {"WH1": 100}, "RUG": {"WH1": 1200}}


def test_a_count_below_what_is_reserved_is_refused(one_place: Importing) -> None:
    one_place.take(csv("sku,onhand", "LAMP,5"))
    lamp = one_place.api.get("/v1/products/sku/LAMP").data["product_id"]
    one_place.api.post("/v1/inventory/reserve", {"product_id": lamp, "quantity": 4})
    read = one_place.read(csv("sku,onhand", "LAMP,3"))
    assert refusals(one_place, read) == {2: ["4 units are reserved; on hand cannot become 3."]}


def test_counts_may_be_added(one_place: Importing) -> None:
    content = csv("sku,onhand", "LAMP,5")
    one_place.take(content)
    one_place.take(content, options={"counts": "add"})
    assert by_sku(one_place) == {"LAMP": {"WH1": 10}}
    assert one_place.send(content, options={"counts": "subtract"}).status == 400


def test_what_was_added_stays_though_it_was_counted_before(one_place: Importing) -> None:
    one_place.take(csv("sku,onhand", "LAMP,24"))
    counted_at = iso(utcnow())
    added = one_place.take(csv("sku,onhand", "LAMP,5"), options={"counts": "add"})
    scanned = {"sku": "LAMP", "warehouse": "WH1", "onhand": 24, "counted_at": counted_at}
    assert one_place.api.post("/v1/inventory/counts", {"items": [scanned], "reason": "scanned"}).status == 200
    assert by_sku(one_place)["LAMP"] == {"WH1": 29}
    movements = Movement.objects.filter(actor=f"import:{added['import_id']}")
    assert list(movements.values_list("kind", "delta")) == [("adjustment", 5)]


def test_what_is_added_and_undone_is_not_in_a_later_count(one_place: Importing) -> None:
    one_place.take(csv("sku,onhand", "LAMP,24"))
    counted_at = iso(utcnow())
    added = one_place.take(csv("sku,onhand", "LAMP,5"), options={"counts": "add"})
    one_place.undo(added["import_id"])
    scanned = {"sku": "LAMP", "warehouse": "WH1", "onhand": 24, "counted_at": counted_at}
    one_place.api.post("/v1/inventory/counts", {"items": [scanned], "reason": "scanned"})
    assert by_sku(one_place)["LAMP"] == {"WH1": 24}


def test_a_dry_run_foresees_that_there_are_too_many(one_place: Importing) -> None:
    one_place.kind = "receipts"
    read = one_place.read(csv("sku,quantity", "LAMP,1000000000", "LAMP,1000000000", "RUG,1"))
    assert one_place.outcomes(read["import_id"]) == [(2, "new"), (3, "refused"), (4, "new")]
    [sentence] = refusals(one_place, read)[3]
    assert sentence == "A warehouse can have at most 1,000,000,000 units of a product."
    done = one_place.apply(read["import_id"])
    assert done["counts"]["refused"] == 1
    assert by_sku(one_place) == {"LAMP": {"WH1": 1_000_000_000}, "RUG": {"WH1": 1}}


def test_receipts_add_and_may_name_a_product_twice(one_place: Importing) -> None:
    done = one_place.take(csv("sku,warehouse,quantity", "LAMP,WH1,5", "LAMP,WH1,5", "RUG,WH1,2"), kind="receipts")
    assert by_sku(one_place) == {"LAMP": {"WH1": 10}, "RUG": {"WH1": 2}}
    assert set(Movement.objects.values_list("kind", flat=True)) == {"receipt"}
    assert [row["changes"]["onhand"] for row in one_place.rows(done["import_id"])] == [[None, 5], [5, 10], [None, 2]]
    undone = one_place.undo(done["import_id"])
    assert (undone["counts"]["undone"], by_sku(one_place)) == (3, {"LAMP": {"WH1": 0}, "RUG": {"WH1": 0}})


def test_undo_leaves_what_has_moved_since(one_place: Importing) -> None:
    one_place.take(csv("sku,onhand", "LAMP,5", "RUG,5"))
    done = one_place.take(csv("sku,onhand", "LAMP,8", "RUG,9"))
    lamp = one_place.api.get("/v1/products/sku/LAMP").data["product_id"]
    one_place.api.post(
        "/v1/inventory/adjustments", {"product_id": lamp, "warehouse": "WH1", "delta": -1, "reason": "x"}
    )
    one_place.undo(done["import_id"])
    assert by_sku(one_place) == {"LAMP": {"WH1": 7}, "RUG": {"WH1": 5}}
    [kept] = one_place.rows(done["import_id"], "&state=kept")
    assert (kept["key"], kept["messages"]) == ("LAMP @ wh1", ["Kept, because units have come or gone since."])


def test_many_rows_take_few_statements(one_place: Importing, statements: Any) -> None:
    for number in range(60):
        one_place.api.post("/v1/products", {"sku": f"S{number}", "name": "S", "price": "1"})
    content = csv("sku,onhand", *(f"S{number},{number}" for number in range(60)))
    with statements() as reading:
        read = one_place.read(content)
    with statements() as applying:
        one_place.apply(read["import_id"])
    assert reading.total <= 45, reading.report()
    assert applying.total <= 55, applying.report()
    assert len(stock()) == 60


@pytest.mark.parametrize("kind", ["stock_counts", "receipts"])
def test_what_was_sold_is_neither_there_nor_arriving(one_place: Importing, kind: str) -> None:
    exported = b"".join(one_place.api.client.get("/v1/orders/export").streaming_content)
    files = [
        csv("order-id\torder-item-id\tpurchase-date\tsku\tquantity-purchased", "408-4870009-9733125\t1\tx\tLAMP\t2"),
        csv("Name,Email,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku", "#1001,a@example.com,2,L,1,LAMP"),
        exported,
    ]
    for number, content in enumerate(files):
        failed = one_place.read(content, kind=kind, name=f"{number}.csv")
        assert (
            failed["error"] == "This is a file of orders: it says what was sold, and not what is there or has arrived."
        )


def test_what_arrives_has_its_delivery_note(counting: Importing) -> None:
    counting.kind = "receipts"
    counting.take(csv("sku;warehouse;quantity;Lieferschein", "LAMP;WH1;3;LS-1", "LAMP;WH1;4;LS-2", "RUG;WH1;5;"))
    answer = counting.api.client.get("/v1/inventory/movements/export")
    rows = list(DictReader(StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert [(row["sku"], row["delta"], row["on_hand"], row["reference"]) for row in reversed(rows)] == [
        ("LAMP", "3", "3", "LS-1"),
        ("LAMP", "4", "7", "LS-2"),
        ("RUG", "5", "5", ""),
    ]


def asked_again(read: dict[str, Any]) -> list[str]:
    return [one["question"] for one in read["questions"] if one["name"] == "again"]


ADDED = [("receipts", {}), ("stock_counts", {"counts": "add"})]


@pytest.mark.parametrize(("kind", "options"), ADDED)
def test_a_file_that_adds_is_booked_again_only_on_purpose(
    one_place: Importing, kind: str, options: dict[str, str]
) -> None:
    content = csv("sku,warehouse,quantity", "LAMP,WH1,5")
    about: dict[str, Any] = {"kind": kind, "options": options}
    first = one_place.take(content, **about)
    again = one_place.read(content, name="the same.csv", **about)
    [question] = asked_again(again)
    assert question.startswith(f"This file was booked by import {first['import_id']} on ")
    refused = one_place.api.post(f"/v1/imports/{again['import_id']}/apply")
    assert (refused.status, refused.json["details"]["questions"]) == (409, ["again"])
    assert by_sku(one_place) == {"LAMP": {"WH1": 5}}
    one_place.apply(one_place.answer(again["import_id"], again="yes")["import_id"])
    assert by_sku(one_place) == {"LAMP": {"WH1": 10}}


def test_a_file_that_was_undone_may_be_booked_again(one_place: Importing) -> None:
    one_place.kind = "receipts"
    content = csv("sku,quantity,reference", "LAMP,5,DN-77")
    one_place.undo(one_place.take(content)["import_id"])
    read = one_place.read(content)
    assert (asked_again(read), read["counts"]["warned"]) == ([], 0)
    one_place.apply(read["import_id"])
    assert by_sku(one_place) == {"LAMP": {"WH1": 5}}


def test_of_two_that_were_read_before_either_was_booked_one_is(one_place: Importing) -> None:
    one_place.kind = "receipts"
    content = csv("sku,quantity", "LAMP,5")
    first, second = one_place.read(content), one_place.read(content)
    one_place.apply(first["import_id"])
    refused = one_place.api.post(f"/v1/imports/{second['import_id']}/apply")
    assert (refused.status, refused.json["code"]) == (409, "questions_open")
    assert first["import_id"] in refused.json["error"]
    one_place.work()
    assert by_sku(one_place) == {"LAMP": {"WH1": 5}}


def test_a_file_of_counts_that_set_is_taken_as_often_as_it_comes(one_place: Importing) -> None:
    content = csv("sku,onhand", "LAMP,5")
    one_place.take(content)
    again = one_place.take(content)
    assert (asked_again(again), again["counts"]["same"]) == ([], 1)


def test_a_delivery_note_that_was_booked_before_is_warned_of(counting: Importing) -> None:
    counting.kind = "receipts"
    header = "sku,warehouse,quantity,reference"
    first = counting.take(csv(header, "LAMP,WH1,5,DN-77", "LAMP,WH1,1,DN-77", "RUG,WH1,2,DN-77"))
    read = counting.read(csv(header, "LAMP,WH1,5,DN-77", "LAMP,WH2,5,DN-77", "LAMP,WH1,5,DN-78", "0017,WH1,5,DN-77"))
    told = {row["line"]: row["messages"] for row in counting.rows(read["import_id"], "&outcome=warned")}
    assert told == {2: [f"DN-77 was booked before, by import {first['import_id']}: 6 units."]}
    assert asked_again(read) == []
    counting.apply(read["import_id"])  # by somebody who has seen that
    assert by_sku(counting)["LAMP"] == {"WH1": 16, "WH2": 5}


def test_a_delivery_note_that_was_booked_since_it_was_read_is_refused(counting: Importing) -> None:
    counting.kind = "receipts"
    header = "sku,warehouse,quantity,reference"
    counting.take(csv(header, "RUG,WH1,1,DN-77"))
    first = counting.read(csv(header, "LAMP,WH1,5,DN-77", "LAMP,WH1,2,DN-77"))  # twice on one note, in one file
    second = counting.read(csv(header, "LAMP,WH1,5,DN-77", "LAMP,WH2,3,DN-77", "RUG,WH1,1,DN-77", "RUG,WH1,4,"))
    counting.apply(first["import_id"])
    done = counting.apply(second["import_id"])
    assert (done["counts"]["refused"], by_sku(counting)["LAMP"]) == (1, {"WH1": 7, "WH2": 3})
    assert by_sku(counting)["RUG"] == {"WH1": 6}, "of what was booked before it was read, the file warned"
    [row] = counting.rows(second["import_id"], "&outcome=refused")
    told = f"DN-77 was booked before, by import {first['import_id']}: 7 units. That was since this file was read."
    assert (row["line"], row["messages"]) == (2, [told])


def test_a_delivery_note_is_the_same_in_any_case_and_by_whatever_door(counting: Importing) -> None:
    counting.kind = "receipts"
    header = "sku,warehouse,quantity,reference"
    first, second = (
        counting.take(csv(header, f"LAMP,WH1,{units},{note}"))["import_id"]
        for units, note in ((3, "LS-5001ä"), (4, " ls-5001A\u0308 "))
    )
    undone = counting.take(csv(header, "LAMP,WH1,9,Ls-5001Ä"))
    counting.undo(undone["import_id"])
    product_id = counting.api.get("/v1/products/sku/LAMP").data["product_id"]
    receipt = {"product_id": product_id, "warehouse": "WH1", "onhand": 2, "reference": "LS-5001Ä"}
    assert counting.api.post("/v1/inventory", receipt).status == 201
    assert counting.api.get("/v1/inventory/movements?limit=1").data[0]["reference"] == "LS-5001Ä"
    read = counting.read(csv(header, "LAMP,WH1,7,ls-5001ä"))
    [row] = counting.rows(read["import_id"], "&outcome=warned")
    by = f"by import {first}: 3 units; by import {second}: 4 units; by open: 2 units"
    assert row["messages"] == [f"ls-5001ä was booked before, {by}."]
