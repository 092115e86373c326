"""The packing desk: the queue, one parcel, and what is printed, for a member of stock staff."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from reportlab.platypus import Paragraph, Table

from config.desk import packing, papers
from contexts.shipping.models import Shipment, ShipmentEvent
from contexts.shipping.public.api import shipping
from contexts.shipping.public.contracts import ShipmentStatus
from eci.clock import utcnow
from eci.errors import PreconditionFailed
from tests.support import away, people
from tests.support.pages import Form, form_in, forms_in
from tests.support.shop import Shop

ADDRESS = {"name": "Łucja Nowak", "lines": ["Długa 5"], "city": "Kraków", "postal_code": "30-001", "country": "PL"}
QUEUE = "/staff/pack"


@pytest.fixture
def clerk() -> Client:
    return people.member("stock staff")


def to_pack(shop: Shop, units: int = 2, **more: Any) -> Shipment:
    order = shop.order(units, fulfilment="warehouse", shipping_address=ADDRESS, **more).data
    return Shipment.objects.get(order_id=order["order_id"])


def parcel_form(client: Client, shipment: Shipment) -> Form:
    return form_in(client.get(f"{QUEUE}/{shipment.pk}").content.decode(), having="tracking_no")


def send(client: Client, shipment: Shipment, form: Form, command: str, **typed: str) -> Any:
    return client.post(f"{QUEUE}/{shipment.pk}", (form | typed | {"do": command}).fields)


def told(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def mark(shipment: Shipment) -> str:
    return f"{shipment.pk}-{shipment.version}"


def test_the_queue_has_the_oldest_first_with_what_goes_into_each(shop: Shop, clerk: Client) -> None:
    made = [to_pack(shop, 1), to_pack(shop, 2), to_pack(shop, 3, product_id=shop.other_id)]
    gone = to_pack(shop)
    shop.api.post(f"/v1/orders/{gone.order_id}/cancel", {})
    Shipment.objects.filter(pk=made[0].pk).update(created_at=utcnow() - timedelta(hours=25))
    page = clerk.get(QUEUE)
    parcels = page.context["queue"].parcels
    assert [(one.shipment.shipment_id, [(item.sku, item.units) for item in one.items]) for one in parcels] == [
        (made[0].pk, [("LAMP", 1)]),
        (made[1].pk, [("LAMP", 2)]),
        (made[2].pk, [("RUG", 3)]),
    ]
    assert [one.number for one in parcels] == [shop.read(one.order_id)["number"] for one in made]
    text = page.content.decode()
    assert text.count('class="late"') == 1, "what waits for more than a day is red"
    assert "WH001: 3" in text and "Łucja Nowak, PL" in text and made[0].order_id in text
    [tile] = [one for one in tiles(clerk) if one.name == "To pack and dispatch"]
    assert (tile.figure, tile.url) == ("3", QUEUE)
    assert len(clerk.get(QUEUE, {"warehouse": "wh001"}).context["queue"].parcels) == 3
    assert "To pack in WH001" in clerk.get(QUEUE, {"warehouse": "wh001"}).content.decode()
    assert "Nothing waits to be packed in WH002" in clerk.get(QUEUE, {"warehouse": "WH002"}).content.decode()
    assert "There is no warehouse NOPE" in clerk.get(QUEUE, {"warehouse": "NOPE"}).content.decode()


def tiles(client: Client) -> Any:
    return client.get("/admin/").context["tiles"]


def test_what_is_withheld_waits_elsewhere(shop: Shop, clerk: Client) -> None:
    shipment = to_pack(shop)
    shipping.withhold(order_id=shipment.order_id, warehouse=None, reason="short")
    assert clerk.get(QUEUE).context["queue"].parcels == ()
    assert "This shipment is withheld: short" in clerk.get(f"{QUEUE}/{shipment.pk}").content.decode()
    answer = send(clerk, shipment, parcel_form(clerk, shipment), "dispatch")
    assert "not there, so it cannot leave" in answer.content.decode()


def test_a_parcel_is_packed_labelled_and_dispatched_and_the_next_one_opens(shop: Shop, clerk: Client) -> None:
    shop.api.patch(f"/v1/products/{shop.product_id}", {"barcode": "4006381333931"})
    first, second = to_pack(shop), to_pack(shop)
    page = clerk.get(f"{QUEUE}/{first.pk}").content.decode()
    assert 'data-sku="LAMP" data-barcode="4006381333931" data-units="2"' in page
    assert "Łucja Nowak\nDługa 5\n30-001 Kraków\nPL" in page
    assert send(clerk, first, parcel_form(clerk, first), "pack").status_code == 302
    labelled = send(clerk, first, parcel_form(clerk, first), "save", carrier="DHL", tracking_no=" JJD0001 ")
    assert labelled["Location"] == f"{QUEUE}/{first.pk}"
    gone = send(clerk, first, parcel_form(clerk, first), "dispatch")
    assert gone["Location"] == f"{QUEUE}/{second.pk}"
    first.refresh_from_db()
    assert (first.status, first.carrier, first.tracking_no) == ("SHIPPED", "DHL", "JJD0001")
    assert set(
        ShipmentEvent.objects.filter(shipment=first).exclude(actor="orders").values_list("actor", flat=True)
    ) == {"staff:stock.staff@example.com"}
    shop.api.settle()
    assert shop.read(first.order_id)["status"] == "SHIPPED"
    assert shop.stock() == (98, 2, 96)
    last = send(clerk, second, parcel_form(clerk, second), "dispatch")
    assert last["Location"] == f"{QUEUE}?warehouse=WH001"
    assert 'id="id_tracking_no"' not in clerk.get(f"{QUEUE}/{first.pk}").content.decode(), "it has left"


def test_what_has_left_is_delivered(shop: Shop, clerk: Client) -> None:
    shipment = to_pack(shop)
    send(clerk, shipment, parcel_form(clerk, shipment), "dispatch")
    page = clerk.get(f"{QUEUE}/{shipment.pk}").content.decode()
    [form] = [form for form in forms_in(page) if "deliver" in form.buttons.get("do", [])]
    for _ in range(2):
        assert send(clerk, shipment, form, "deliver")["Location"] == f"{QUEUE}/{shipment.pk}"
    assert ShipmentEvent.objects.filter(shipment=shipment, status="DELIVERED").count() == 1
    shop.api.settle()
    assert shop.read(shipment.order_id)["status"] == "DELIVERED"
    assert 'value="deliver"' not in clerk.get(f"{QUEUE}/{shipment.pk}").content.decode()


def test_a_form_sent_twice_and_two_people_on_one_parcel(shop: Shop, clerk: Client) -> None:
    shipment = to_pack(shop)
    mine, theirs = parcel_form(clerk, shipment), parcel_form(clerk, shipment)
    assert [send(clerk, shipment, mine, "pack").status_code for _ in range(2)] == [302, 302]
    assert ShipmentEvent.objects.filter(shipment=shipment, status="PACKED").count() == 1
    assert send(clerk, shipment, theirs, "pack").status_code == 302, "it is as they want it"
    late = send(clerk, shipment, theirs, "save", tracking_no="THEIRS-1")
    assert "Somebody has changed it" in late.content.decode() and "It is PACKED now" in late.content.decode()
    assert form_in(late.content.decode(), having="tracking_no").fields["tracking_no"] == "THEIRS-1"
    shipment.refresh_from_db()
    assert shipment.tracking_no.startswith("ECI")
    again = form_in(late.content.decode(), having="tracking_no")
    assert send(clerk, shipment, again, "save").status_code == 302
    shipment.refresh_from_db()
    assert shipment.tracking_no == "THEIRS-1"


@pytest.mark.any_engine
def test_bad_labels_are_told_and_what_was_typed_stays(shop: Shop, clerk: Client) -> None:
    shipment, other = to_pack(shop), to_pack(shop)
    form = parcel_form(clerk, shipment)
    for typed, said in (
        ({"tracking_no": "a/b"}, "A tracking number has no"),
        ({"tracking_no": ""}, "This field is required."),
        ({"tracking_no": other.tracking_no}, "Another shipment has this tracking number."),
        ({"carrier": "x" * 65}, "at most 64"),
        ({"version": "x"}, ""),
    ):
        answer = send(clerk, shipment, form, "dispatch", **typed)
        assert answer.status_code == 200 and said in answer.content.decode().replace("&#x27;", "'"), typed
    shipment.refresh_from_db()
    assert (shipment.status, shipment.version) == ("PENDING", 1)
    for path in (f"{QUEUE}/999999999", f"{QUEUE}/{'9' * 30}", f"{QUEUE}/papers/nothing"):
        assert clerk.get(path).status_code == 404
    for query in ({"warehouse": "\x00"}, {"after": "x"}, {"after": "9" * 40}, {"warehouse": "x" * 999}):
        assert clerk.get(QUEUE, query).status_code == 200, query


def test_many_are_packed_and_dispatched_at_once(shop: Shop, clerk: Client) -> None:
    made = [to_pack(shop, 1) for _ in range(3)]
    shipping.withhold(order_id=made[1].order_id, warehouse=None, reason="short")
    marks = [mark(one) for one in made]
    answer = clerk.post(QUEUE, {"do": "dispatch", "shipment": [*marks, "x", "999999-1"]})
    assert answer.status_code == 302
    assert [line for line in told(answer) if line.startswith(f"Shipment {made[1].pk}:")]
    assert told(answer)[-1] == "2 shipments are dispatched."
    assert list(Shipment.objects.order_by("pk").values_list("status", flat=True)) == ["SHIPPED", "PENDING", "SHIPPED"]
    again = clerk.post(QUEUE, {"do": "dispatch", "shipment": marks[:1]})
    assert told(again)[-1] == "1 shipments are dispatched.", "sent again, it finds that all is done"
    assert ShipmentEvent.objects.filter(shipment=made[0], status="SHIPPED").count() == 1


@pytest.mark.any_engine
def test_only_stock_and_support_pack(shop: Shop) -> None:
    shipment = to_pack(shop)
    catalog = people.member("catalog staff")
    for path in (QUEUE, f"{QUEUE}/{shipment.pk}", f"{QUEUE}/papers/slips?shipment={shipment.pk}"):
        assert catalog.get(path).status_code == 403
        assert Client().get(path)["Location"].startswith("/admin/login/")
    from django.contrib.auth.models import Permission, User

    looker = User.objects.create_user("looker@example.com", password="secret-123", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_shipment"))
    client = Client()
    client.force_login(looker)
    assert 'value="dispatch"' not in client.get(QUEUE).content.decode()
    for path in (QUEUE, f"{QUEUE}/{shipment.pk}"):
        assert client.post(path, {"do": "dispatch", "shipment": mark(shipment)}).status_code == 403
    shipment.refresh_from_db()
    assert shipment.status == "PENDING"


def test_pages_cost_the_same_however_many_parcels(shop: Shop, clerk: Client, statements: Any) -> None:
    to_pack(shop, 1)
    clerk.get(QUEUE)
    with statements() as one:
        clerk.get(QUEUE)
    many = [to_pack(shop, 1, product_id=shop.other_id if n % 2 else shop.product_id) for n in range(6)]
    with statements() as several:
        clerk.get(QUEUE)
    assert several.total == one.total
    with statements() as printed:
        clerk.get(f"{QUEUE}/papers/slips", {"shipment": [one.pk for one in many]})
    assert printed.total <= one.total


def test_the_queue_goes_on_where_a_page_ends(shop: Shop, clerk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BATCH", 2)
    made = [to_pack(shop, 1) for _ in range(3)]
    first = clerk.get(QUEUE)
    assert first.context["next"] == f"warehouse=WH001&after={made[1].pk}"
    rest = clerk.get(f"{QUEUE}?{first.context['next']}")
    assert [one.shipment.shipment_id for one in rest.context["queue"].parcels] == [made[2].pk]


def texts(story: Any) -> list[str]:
    """What stands on a page, in the order of reading."""
    found: list[str] = []
    for one in story:
        if isinstance(one, Paragraph):
            found.append(one.getPlainText())
        elif isinstance(one, Table):
            for row in one._cellvalues:
                for cell in row:
                    found += texts(cell if isinstance(cell, list) else [cell])
    return found


@pytest.mark.any_engine
def test_papers_say_what_is_packed_and_where_it_goes(shop: Shop, clerk: Client) -> None:
    shop.api.patch(f"/v1/products/{shop.product_id}", {"name": "Lamp <b>& shade</b>"})
    made = [to_pack(shop, 2), to_pack(shop, 3), to_pack(shop, 1, product_id=shop.other_id)]
    for paper, pages in (("slips", 3), ("labels", 3), ("pick", 1)):
        answer = clerk.post(f"{QUEUE}/papers/{paper}", {"shipment": [mark(one) for one in made]})
        assert answer["Content-Type"] == "application/pdf" and answer.content.startswith(b"%PDF")
        assert answer.content.count(b"/Type /Page\n") == pages, paper
    found = packing.parcels(shipping.shipments(shipment_ids=[one.pk for one in made]), [])
    slip = texts(papers.slip(found[0]))
    for line in ("Łucja Nowak", "30-001 Kraków", "LAMP", "Lamp <b>& shade</b>", "2", f"Order {made[0].order_id}"):
        assert line in slip, line
    assert made[0].tracking_no in texts(papers.label(found[0]))
    picked = texts(papers.pick_page(found))
    at = picked.index("LAMP")
    assert picked[at + 2 : at + 4] == ["5", f"2 for {made[0].pk}, 3 for {made[1].pk}"]
    nothing = clerk.get(f"{QUEUE}/papers/slips", follow=True)
    assert "Mark the shipments first." in nothing.content.decode()
    assert clerk.get(f"{QUEUE}/papers/slips", {"shipment": made[0].pk}).content.startswith(b"%PDF")


@pytest.mark.any_engine
def test_labels_take_any_text(shop: Shop) -> None:
    address = {"name": "東京 한국 שלום " + "x" * 150, "lines": ["y" * 180] * 3, "city": "Москва", "country": "JP"}
    order_id = shop.order(1, fulfilment="warehouse", shipping_address=address).data["order_id"]
    Shipment.objects.filter(order_id=order_id).update(tracking_no="Ünï-1", carrier="ДХЛ")
    found = packing.parcels(shipping.shipments_of(order_ids=[order_id]), [])
    for make in papers.PAPERS.values():
        assert make(found).startswith(b"%PDF")
    assert papers.labels(found).count(b"/Type /Page\n") == 1, "a label is one page, however long the address is"


def test_the_desk_stands_while_a_context_is_away(shop: Shop, clerk: Client) -> None:
    shipment = to_pack(shop)
    with away.unreachable("inventory"):
        assert "their part is missing: inventory" in clerk.get(QUEUE).content.decode()
        assert "Not known just now." in clerk.get(f"{QUEUE}/{shipment.pk}").content.decode()
        slip = clerk.get(f"{QUEUE}/papers/slips", {"shipment": shipment.pk}, follow=True)
    assert "nobody knows what goes into the parcels" in slip.content.decode()
    with away.unreachable("catalog"):
        assert f"product {shop.product_id}" in clerk.get(f"{QUEUE}/{shipment.pk}").content.decode()
    with away.unreachable("shipping"):
        answer = clerk.get(QUEUE, follow=True)
    assert "cannot be reached" in answer.content.decode()


def test_the_contract_changes_a_shipment_as_it_was_seen(shop: Shop) -> None:
    shipment = to_pack(shop)
    [seen] = shipping.shipments(shipment_ids=[shipment.pk, 999999])
    assert shipping.to_pack(warehouse="WH001", after=0, limit=5) == (seen,)
    assert shipping.to_pack(warehouse="WH001", after=shipment.pk, limit=5) == ()
    packed = shipping.change(shipment_id=shipment.pk, actor="t", status=ShipmentStatus.PACKED, version=seen.version)
    assert (packed.status, packed.version) == ("PACKED", seen.version + 1)
    with pytest.raises(PreconditionFailed):
        shipping.change(shipment_id=shipment.pk, actor="t", carrier="DHL", version=seen.version)
