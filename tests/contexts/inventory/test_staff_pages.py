"""The admin's pages: staff receive, count and adjust under the same rules as the API, and edit no row directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client

from contexts.inventory.models import Movement, Reservation, Stock, Warehouse
from contexts.inventory.services import holds, stock
from tests.support.api import Api
from tests.support.pages import Browser, Form, form_in

LIST = "/admin/inventory/stock/"


def signed_in(**kinds: bool) -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_user("ann", "ann@example.com", "secret-123", **kinds))
    return client


@pytest.fixture
def admin() -> Client:
    return signed_in(is_staff=True, is_superuser=True)


@pytest.fixture
def rows(stocked: Callable[..., int]) -> list[Stock]:
    stocked(A=10, B=4)
    return list(Stock.objects.order_by("pk"))


def run(client: Client, action: str, rows: list[Stock], **fields: Any) -> Any:
    """Choose the action for the rows; with fields, send its form as well."""
    data: dict[str, Any] = {"action": action, "_selected_action": [row.pk for row in rows]}
    page = client.post(LIST, data | {"index": "0"})
    if not fields or page.status_code != 200:
        return page
    form = form_in(page.content.decode(), having=f"units_{rows[0].pk}")
    return client.post(LIST, {**form.fields, **data, "apply": "1", **fields})


def messages(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def on_hand() -> list[int]:
    return list(Stock.objects.order_by("pk").values_list("on_hand", flat=True))


def test_the_list_shows_and_finds(admin: Client, rows: list[Stock], run_out: Callable[[str], None]) -> None:
    holds.reserve(key="h", order_id="X", demand={rows[0].product_id: 3}, seconds=60)
    holds.reserve(key="i", order_id="X", demand={rows[0].product_id: 2}, seconds=60)
    run_out("i")
    page = admin.get(LIST).content.decode()
    for shown in (
        '<td class="field-on_hand">10</td>',
        '<td class="field-reserved_now">3</td>',
        '<td class="field-available">7</td>',
        '<td class="field-reorder_point">10</td>',
        'href="/admin/inventory/stock/receipt/"',
    ):
        assert shown in page
    for query, found in ((str(rows[0].product_id), 2), ("B", 1), ("999999", 0), ("9" * 30, 0), ("abc", 0)):
        assert admin.get(LIST, {"q": query}).context["cl"].result_count == found
    assert admin.get(LIST, {"warehouse__code__exact": "A"}).context["cl"].result_count == 1


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("action", "shown"), [("receive", "Receive units"), ("count", "stock count"), ("adjust", "by a difference")]
)
def test_an_action_asks_first(admin: Client, rows: list[Stock], action: str, shown: str) -> None:
    page = run(admin, action, rows)
    assert page.status_code == 200
    html = page.content.decode()
    assert shown in html
    for row in rows:
        assert f'name="units_{row.pk}"' in html
        assert f'<input type="hidden" name="_selected_action" value="{row.pk}">' in html
    assert f'<input type="hidden" name="action" value="{action}">' in html
    assert "On hand 10, reserved 0, available 10." in html
    assert on_hand() == [10, 4]


def test_receiving(admin: Client, rows: list[Stock]) -> None:
    first, second = rows
    answer = run(admin, "receive", rows, **{f"units_{first.pk}": 5, f"units_{second.pk}": 1})
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert on_hand() == [15, 5]
    line = Movement.objects.order_by("pk").last()
    assert line is not None
    assert (line.delta, line.reason, line.actor) == (1, "receipt", "staff:ann")


def test_counting(admin: Client, rows: list[Stock]) -> None:
    first, second = rows
    fields = {f"units_{first.pk}": 7, f"units_{second.pk}": 0, "reason": "yearly count"}
    assert run(admin, "count", rows, **fields).status_code == 302
    assert on_hand() == [7, 0]
    assert set(Movement.objects.filter(reason="yearly count").values_list("delta", "actor")) == {
        (-3, "staff:ann"),
        (-4, "staff:ann"),
    }


def test_adjusting(admin: Client, rows: list[Stock]) -> None:
    first, second = rows
    fields = {f"units_{first.pk}": -3, f"units_{second.pk}": 2, "reason": "broken"}
    assert run(admin, "adjust", rows, **fields).status_code == 302
    assert on_hand() == [7, 6]


def test_a_refusal_is_shown_and_changes_nothing(admin: Client, rows: list[Stock]) -> None:
    first, second = rows
    holds.reserve(key="h", order_id="X", demand={second.product_id: 4}, seconds=60, warehouse="B")
    fields = {f"units_{first.pk}": 7, f"units_{second.pk}": 3, "reason": "count"}
    for action, values in (("count", fields), ("adjust", fields | {f"units_{second.pk}": -1})):
        answer = run(admin, action, rows, **values)
        assert answer.status_code == 200
        assert messages(answer) == ["4 units are reserved; on hand cannot become 3."]
        assert f'name="units_{first.pk}" value="7"' in answer.content.decode()
        assert on_hand() == [10, 4]
    assert run(admin, "count", rows, **fields, force="on").status_code == 302
    assert on_hand() == [7, 3]
    assert Reservation.objects.get().status == "RELEASED"


@pytest.mark.any_engine
def test_bad_numbers_are_shown_at_their_row(admin: Client, rows: list[Stock]) -> None:
    [row, _] = rows
    for action, units in (
        ("receive", 0),
        ("receive", "x"),
        ("receive", ""),
        ("receive", 1_000_000_001),
        ("count", -1),
        ("adjust", 0),
        ("adjust", -1_000_000_001),
    ):
        page = run(admin, action, [row], **{f"units_{row.pk}": units, "reason": "r"})
        assert page.status_code == 200
        assert list(page.context["form"].errors) == [f"units_{row.pk}"]
    assert list(run(admin, "count", [row], **{f"units_{row.pk}": 1}).context["form"].errors) == ["reason"]
    assert on_hand() == [10, 4]


@pytest.mark.any_engine
def test_too_many_rows_at_once(admin: Client, rows: list[Stock]) -> None:
    Stock.objects.bulk_create([Stock(product_id=10**9 + number, warehouse_id="A") for number in range(100)])
    answer = run(admin, "count", list(Stock.objects.all()))
    assert (answer.status_code, messages(answer)) == (302, ["Choose at most 100 rows."])


def test_the_first_units_of_a_product(admin: Client, product: Callable[[], int]) -> None:
    Warehouse.objects.create(code="A", name="A")
    product_id, path = product(), f"{LIST}receipt/"
    assert admin.get(path).status_code == 200
    form = {"product_id": product_id, "warehouse": "A", "units": 5, "reorder_point": 3}
    unknown = admin.post(path, form | {"product_id": 987654321})
    assert unknown.context["form"].errors == {"product_id": ["There is no product 987654321."]}
    for field, value in (("units", 0), ("product_id", 2**53 + 1), ("product_id", 0), ("warehouse", "B")):
        assert list(admin.post(path, form | {field: value}).context["form"].errors) == [field]
    assert not Stock.objects.exists()
    assert admin.post(path, form)["Location"] == LIST
    assert admin.post(path, form | {"reorder_point": ""})["Location"] == LIST
    row = Stock.objects.get()
    assert (row.product_id, row.warehouse_id, row.on_hand, row.reorder_point) == (product_id, "A", 10, 3)
    assert set(Movement.objects.values_list("actor", flat=True)) == {"staff:ann"}


@pytest.mark.any_engine
def test_the_permission_to_change_stock(rows: list[Stock]) -> None:
    viewer = signed_in(is_staff=True)
    [ann] = get_user_model().objects.filter(username="ann")
    ann.user_permissions.add(Permission.objects.get(codename="view_stock"))
    page = viewer.get(LIST)
    assert page.status_code == 200
    assert b"receipt/" not in page.content
    assert b'value="receive"' not in page.content
    assert viewer.get(f"{LIST}receipt/").status_code == 403
    chosen = {"action": "receive", "_selected_action": [row.pk for row in rows], "apply": "1"}
    viewer.post(LIST, chosen | {f"units_{row.pk}": 5 for row in rows})
    assert on_hand() == [10, 4]
    ann.user_permissions.add(Permission.objects.get(codename="change_stock"))
    run(viewer, "receive", rows, **{f"units_{row.pk}": 5 for row in rows})
    assert on_hand() == [15, 9]


@pytest.mark.any_engine
def test_no_row_is_edited_directly(admin: Client, rows: list[Stock]) -> None:
    held = holds.reserve(key="h", order_id="X-1", demand={rows[0].product_id: 3}, seconds=60)
    line = Movement.objects.order_by("pk").first()
    assert line is not None
    for model, pk in (("stock", rows[0].pk), ("movement", line.pk), ("reservation", held.reservation.pk)):
        path = f"/admin/inventory/{model}/"
        assert admin.get(f"{path}add/").status_code == 403
        page = admin.get(f"{path}{pk}/change/")
        assert page.status_code == 200
        assert b'name="_save"' not in page.content
        assert admin.post(f"{path}{pk}/change/", {"on_hand": 99, "delta": 99, "status": "SHIPPED"}).status_code == 403
        assert admin.post(f"{path}{pk}/delete/", {"post": "yes"}).status_code == 403
        assert b"delete_selected" not in admin.get(path).content
    assert on_hand() == [10, 4]


def test_reservations_and_the_ledger_can_be_searched(
    admin: Client, rows: list[Stock], run_out: Callable[[str], None]
) -> None:
    held = holds.reserve(key="h", order_id="X-1", demand={rows[0].product_id: 12}, seconds=60)
    page = admin.get(f"/admin/inventory/reservation/{held.reservation.pk}/change/").content.decode()
    assert "fewest warehouses: 2" in page
    assert page.count('field-quantity"') >= 2
    run_out("h")
    found = admin.get("/admin/inventory/reservation/", {"q": "X-1"})
    assert found.context["cl"].result_count == 1
    assert b"EXPIRED" in found.content
    holds.reserve(key="i", order_id="X-2", demand={rows[0].product_id: 1}, seconds=60)
    holds.ship(key="i", actor="test")
    for query, number in (("X-2", 1), (str(rows[0].product_id), 3), ("nothing", 0)):
        assert admin.get("/admin/inventory/movement/", {"q": query}).context["cl"].result_count == number


def test_warehouses_are_edited_but_never_renamed_or_deleted(admin: Client, rows: list[Stock]) -> None:
    form = {"code": "N", "name": "North", "priority": "5", "address": "", "is_active": "on"}
    assert admin.post("/admin/inventory/warehouse/add/", form).status_code == 302
    assert admin.post("/admin/inventory/warehouse/add/", form).context["adminform"].form.errors
    path = "/admin/inventory/warehouse/N/"
    assert admin.post(f"{path}change/", form | {"code": "M", "name": "Far north", "is_active": ""}).status_code == 302
    north = Warehouse.objects.get(pk="N")
    assert (north.name, north.is_active, Warehouse.objects.filter(pk="M").exists()) == ("Far north", False, False)
    assert admin.post(f"{path}delete/", {"post": "yes"}).status_code == 403
    assert b"delete_selected" not in admin.get("/admin/inventory/warehouse/").content


# -- read, think, write back ------------------------------------------------------------------------------------------


def page_of(client: Client, action: str, rows: list[Stock]) -> Form:
    return form_in(run(client, action, rows).content.decode(), having=f"units_{rows[0].pk}")


def send(client: Client, form: Form, path: str = LIST, **typed: Any) -> Any:
    return client.post(path, {**(form | typed).fields, "apply": "1"})


def test_a_count_saved_late_does_not_overwrite_a_sale(admin: Client, rows: list[Stock]) -> None:
    """Two browsers: one counts, the other sells meanwhile. Sending the count again says that it was made after."""
    [row, _] = rows
    form = page_of(admin, "count", [row])
    holds.reserve(key="h", order_id="X-1", demand={row.product_id: 3}, seconds=60, warehouse="A")
    holds.ship(key="h", actor="test")
    late = send(admin, form, **{f"units_{row.pk}": "10", "reason": "count"})
    assert (late.status_code, on_hand()[0]) == (200, 7)
    told = late.content.decode()
    assert "-3 shipment X-1" in told
    assert "On hand 7, reserved 0, available 7." in told
    again = form_in(told, having=f"units_{row.pk}")
    assert (again.fields[f"units_{row.pk}"], again.fields["reason"]) == ("", "count")
    assert "You counted 10. Enter it again." in told
    assert "This field is required" not in told
    assert "counted_before" in again.kinds
    assert "counted_before" not in form.kinds
    assert (send(admin, again, counted_before="on").status_code, on_hand()[0]) == (200, 7)
    assert send(admin, again, counted_before="on", **{f"units_{row.pk}": "10"}).status_code == 302
    assert on_hand()[0] == 7


def test_a_count_made_after_the_sale_stands(admin: Client, rows: list[Stock]) -> None:
    [row, _] = rows
    form = page_of(admin, "count", [row])
    stock.adjust(product_id=row.product_id, warehouse="A", delta=-3, reason="broken", actor="staff:bob")
    late = send(admin, form, **{f"units_{row.pk}": "6", "reason": "count"})
    again = form_in(late.content.decode(), having=f"units_{row.pk}")
    stock.adjust(product_id=row.product_id, warehouse="A", delta=-1, reason="broken", actor="staff:bob")
    later = send(admin, again, **{f"units_{row.pk}": "6"})
    assert (later.status_code, on_hand()[0]) == (200, 6)
    assert "-1 broken" in later.content.decode()
    last = form_in(later.content.decode(), having=f"units_{row.pk}")
    assert send(admin, last, **{f"units_{row.pk}": "6"}).status_code == 302
    assert on_hand()[0] == 6


def test_two_who_counted_the_same_shelf_agree(admin: Client, rows: list[Stock]) -> None:
    """Each opened the page before the other's count was recorded; one unit was sold meanwhile."""
    [row, _] = rows
    pages = [page_of(admin, "count", [row]) for _ in range(3)]
    typed = {f"units_{row.pk}": "8", "reason": "shelf"}
    assert send(admin, pages[0], **typed).status_code == 302
    holds.reserve(key="h", order_id="X-1", demand={row.product_id: 1}, seconds=60, warehouse="A")
    holds.ship(key="h", actor="test")
    for page in pages[1:]:
        late = send(admin, page, **typed)
        assert "-1 shipment X-1; -2 shelf" in late.content.decode()
        again = form_in(late.content.decode(), having=f"units_{row.pk}")
        assert send(admin, again, counted_before="on", **{f"units_{row.pk}": "8"}).status_code == 302
        assert on_hand()[0] == 7
    damaged = page_of(admin, "count", [row])
    for name in (f"shown_{row.pk}", f"expected_{row.pk}"):
        answer = send(admin, damaged, **typed | {name: ""})
        assert "This form is damaged" in answer.content.decode()
    assert on_hand()[0] == 7


@pytest.mark.parametrize("action", ["receive", "adjust", "count"])
def test_a_form_sent_twice_has_one_effect(admin: Client, rows: list[Stock], action: str) -> None:
    [row, _] = rows
    form = page_of(admin, action, [row])
    typed = {f"units_{row.pk}": "7", "reason": "r"}
    first = send(admin, form, **typed)
    again = send(admin, form, **typed)
    assert (first.status_code, again.status_code) == (302, 302)
    assert "once" in " ".join(messages(again))
    assert on_hand()[0] == (7 if action == "count" else 17)


def test_a_receipt_sent_twice_has_one_effect(admin: Client, rows: list[Stock]) -> None:
    path = f"{LIST}receipt/"
    form = form_in(admin.get(path).content.decode(), having="units")
    typed = {"product_id": str(rows[0].product_id), "warehouse": "A", "units": "7"}
    assert [send(admin, form, path, **typed).status_code for _ in range(2)] == [302, 302]
    assert on_hand() == [17, 4]
    fresh = form_in(admin.get(path).content.decode(), having="units")
    assert send(admin, fresh, path, **typed).status_code == 302
    assert on_hand() == [24, 4]


def test_two_browsers_on_a_warehouse(admin: Client, rows: list[Stock]) -> None:
    path = "/admin/inventory/warehouse/A/change/"
    forms = [form_in(admin.get(path).content.decode(), having="name") for _ in range(2)]
    closed = {name: value for name, value in forms[0].fields.items() if name != "is_active"} | {"close_anyway": "on"}
    assert admin.post(path, closed).status_code == 302
    second = admin.post(path, (forms[1] | {"name": "North"}).fields)
    assert (second.status_code, Warehouse.objects.get(pk="A").name) == (200, "A")
    again = form_in(second.content.decode(), having="name")
    assert admin.post(path, again.fields).status_code == 302
    north = Warehouse.objects.get(pk="A")
    assert (north.name, north.is_active, north.version) == ("North", False, 3)


# -- the API's rules --------------------------------------------------------------------------------------------------


def test_text_of_a_warehouse_is_taken_in_as_by_the_api(admin: Client, api: Api) -> None:
    path = "/admin/inventory/warehouse/add/"
    form = {"name": "North", "priority": "5", "address": "", "is_active": "on"}
    refused = ("a\tb", "\u200b", "W" * 65)
    for code, stored in ((" cafe\u0301 ", "caf\u00e9"), ("W" * 64, "W" * 64), *((code, None) for code in refused)):
        answer = admin.post(path, form | {"code": code})
        assert Warehouse.objects.filter(pk=stored or code).exists() == (stored is not None)
        assert answer.status_code == (302 if stored else 200)
        Warehouse.objects.all().delete()
        sent = api.post("/v1/warehouses", {"code": code, "name": "N" * 255})
        assert (sent.status, sent.data["code"] if stored else None) == (200 if stored else 400, stored)
        Warehouse.objects.all().delete()
    assert admin.post(path, form | {"code": "N", "name": "x\ny"}).status_code == 200
    assert not Warehouse.objects.exists()


def test_stock_is_found_by_sku_and_name(admin: Client, api: Api, rows: list[Stock], statements: Any) -> None:
    other = api.post("/v1/products", {"sku": "KETTLE-7", "name": "Blauer Kessel", "price": 1}).data["product_id"]
    api.post("/v1/inventory", {"product_id": other, "warehouse": "A", "onhand": 1})
    for model, number in (("stock", 1), ("movement", 1)):
        path = f"/admin/inventory/{model}/"
        for query in ("KETTLE-7", "kessel", str(other)):
            assert admin.get(path, {"q": query}).context["cl"].result_count == number, query
        with statements() as counted:
            page = admin.get(path).content.decode()
        assert "KETTLE-7" in page
        assert "Blauer Kessel" in page
        assert len([line for line in counted.log if "catalog_product" in line[1]]) == 1
    row = Stock.objects.get(product_id=other)
    assert "Blauer Kessel" in admin.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "KETTLE-7, Blauer Kessel, in A" in run(admin, "receive", [row]).content.decode()
    held = holds.reserve(key="h", order_id="X-1", demand={other: 1}, seconds=60)
    assert "KETTLE-7" in admin.get(f"/admin/inventory/reservation/{held.reservation.pk}/change/").content.decode()


def test_a_receipt_by_sku(admin: Client, rows: list[Stock]) -> None:
    path = f"{LIST}receipt/"
    form = {"sku": " SKU-1 ", "warehouse": "A", "units": 2_000_000}
    assert admin.post(path, form)["Location"] == LIST
    assert on_hand() == [2_000_010, 4]
    for bad in ({"sku": "NONE"}, {"sku": ""}, {"product_id": "1"}):
        assert list(admin.post(path, form | bad).context["form"].errors) == ["sku"]
    assert run(admin, "count", rows[:1], **{f"units_{rows[0].pk}": 2_000_000, "reason": "r"}).status_code == 302
    assert on_hand() == [2_000_000, 4]


def test_what_is_owed_is_shown(admin: Client, rows: list[Stock]) -> None:
    [row, _] = rows
    holds.reserve(key="h", order_id="X", demand={row.product_id: 8}, seconds=60, paying=True, warehouse="A")
    fields = {f"units_{row.pk}": 5, "reason": "count", "force": "on"}
    assert run(admin, "count", [row], **fields).status_code == 302
    page = admin.get(LIST).content.decode()
    assert '<td class="field-owed">8</td>' in page
    assert '<td class="field-available">0</td>' in page
    assert "On hand 5, reserved 0, owed 8, available 0." in run(admin, "receive", [row]).content.decode()


def test_nothing_that_a_person_can_send_is_a_5xx(admin: Client, rows: list[Stock]) -> None:
    for data in (
        {"action": "count", "_selected_action": ["x"]},
        {"action": "count", "_selected_action": ["9" * 40], "apply": "1"},
        {"action": "count", "_selected_action": [rows[0].pk], "apply": "1", f"units_{rows[0].pk}": "9" * 400},
        {"action": "count", "_selected_action": [rows[0].pk], "apply": "1", f"expected_{rows[0].pk}": "x"},
        {"action": "nothing", "_selected_action": [rows[0].pk]},
    ):
        assert admin.post(LIST, data).status_code < 500
    for query in ("?q=%00", "?updated_at__year=999999999999", "?warehouse__code__exact=%00", "?p=x"):
        assert admin.get(f"{LIST}{query}").status_code < 500
    assert admin.post(f"{LIST}receipt/", {"warehouse": "\x00", "sku": "\x00", "units": "x"}).status_code == 200
