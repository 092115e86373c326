"""Rows that were there before the intake of text: brought to its form, and what collides is said."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from django.apps import apps
from django.db import connections

from contexts.catalog.models import Product
from contexts.customers import services
from contexts.customers.models import Address, Customer, MailRequest
from contexts.notifications.models import Notification
from contexts.shipping.models import Shipment, ShipmentEvent
from eci import intake, text
from eci.clock import utcnow
from eci.intake import left
from eci.watch.logs import only_allowed


def take_in(context: str, migration: str) -> None:
    editor = SimpleNamespace(connection=connections[context])
    import_module(f"contexts.{context}.migrations.{migration}").take_in(apps, editor)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    from eci import intake

    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(intake, "log", SimpleNamespace(warning=lambda event, **facts: lines.append(facts)))
    return lines


def product(sku: str, name: str = "Lamp", **more: Any) -> int:
    keys = {"name_key": "", "category_key": "", "search_text": "", "price_thousandths": 1000}
    return Product.objects.create(sku=sku, name=name, price_minor=100, currency="USD", **keys | more).pk


def customer(email: str, full_name: str = "Ann", **more: Any) -> int:
    row = {"email_key": email.lower(), "password": ""} | more
    return Customer.objects.create(email=email, full_name=full_name, **row).pk


def test_products(said: list[dict[str, Any]]) -> None:
    changed = product("\u00a0A\u030a-1 ", "Mu\u0308ller\n", category=" Cafe\u0301 ", description="one\r\ntwo\n")
    same = product("B", "STRASSE", name_key="strasse", search_text="b\nstrasse\n")
    refused = product("C", "line\nbreak")
    take_in("catalog", "0005_text_taken_in")
    row = Product.objects.get(pk=changed)
    assert (row.sku, row.name, row.category, row.description) == ("\u00c5-1", "M\u00fcller", "Caf\u00e9", "one\ntwo")
    assert (row.name_key, row.category_key, row.search_text) == (
        "m\u00fcller",
        "caf\u00e9",
        "\u00e5-1\nm\u00fcller\none\ntwo",
    )
    assert list(Product.objects.order_by("pk").values_list("version", flat=True)) == [2, 1, 1]
    assert Product.objects.get(pk=same).search_text == "b\nstrasse\n"
    assert [(line["id"], line["item"]) for line in said] == [(refused, "catalog_product.name")]
    take_in("catalog", "0005_text_taken_in")
    assert Product.objects.get(pk=changed).version == 2, "once is enough"


def test_what_collides_stays_and_is_said(said: list[dict[str, Any]]) -> None:
    rows = [product(" A", " first "), product("A"), product("e\u0301"), product("e\u0301 ")]
    take_in("catalog", "0005_text_taken_in")
    assert list(Product.objects.order_by("pk").values_list("sku", "name")) == [
        (" A", "first"),
        ("A", "Lamp"),
        ("\u00e9", "Lamp"),
        ("e\u0301 ", "Lamp"),
    ]
    assert [(line["item"], line["id"], line["error"]) for line in said] == [
        ("catalog_product.sku", rows[0], "Another row has the same."),
        ("catalog_product.sku", rows[3], "Another row has the same."),
    ]


def test_customers(said: list[dict[str, Any]]) -> None:
    one = customer("Ann@EX\u00c4MPLE.de", " Ann\u00a0", phone="+1 555-0100")
    two = customer("ann@xn--exmple-cua.de")
    strange = customer('"x y"@example.com', phone="call me")
    alone = customer("bob@stra\u00dfe.de", email_key="bob@stra\u00dfe.de")
    gone = customer("", "", email_key="erased:5", erased_at=utcnow())
    Address.objects.create(customer_id=one, line1=" 1 Rue\u0301 ", city="x", country="FR", phone="1234567")
    MailRequest.objects.create(purpose="password_reset", email_key="bob@stra\u00dfe.de", expires_at=utcnow())
    take_in("customers", "0006_text_taken_in")
    found = {row.pk: (row.email, row.email_key, row.full_name) for row in Customer.objects.all()}
    assert found == {
        one: ("Ann@EX\u00c4MPLE.de", "ann@ex\u00e4mple.de", "Ann"),
        two: ("ann@xn--exmple-cua.de", "ann@xn--exmple-cua.de", "Ann"),
        strange: ('"x y"@example.com', '"x y"@example.com', "Ann"),
        alone: ("bob@xn--strae-oqa.de", "bob@xn--strae-oqa.de", "Ann"),
        gone: ("", "erased:5", ""),
    }
    assert set(Customer.objects.exclude(pk=gone).values_list("name_key", flat=True)) == {"ann"}
    assert Address.objects.get().line1 == "1 Ru\u00e9"
    assert MailRequest.objects.get().email_key == "bob@xn--strae-oqa.de"
    assert sorted((line["id"], line["item"]) for line in said) == [
        (one, "customers_customer.email"),
        (strange, "customers_customer.email"),
        (strange, "customers_customer.phone"),
    ]


def shipment(number: str, **more: Any) -> int:
    now = {"created_at": utcnow(), "updated_at": utcnow()}
    return Shipment.objects.create(order_id="E-1", tracking_no=number, **{"status": "PENDING"} | now | more).pk


def test_shipments() -> None:
    whole = {"name": "Mu\u0308ller ", "lines": [" 1 Rue\u0301", "Ann\u202eeeL"], "city": "\u00a0Oz"}
    waits = shipment(" T-1", carrier="D\nHL", city="Oz ", ship_to=whole, address="x\u202ey")
    same = shipment("T-1")
    gone = shipment("T-3", carrier="U\nPS", status="DELIVERED", dispatched_at=utcnow())
    event = ShipmentEvent.objects.create(shipment_id=gone, status="PENDING", location=" Hub\n", actor="a", at=utcnow())
    take_in("shipping", "0008_text_taken_in")
    rows = Shipment.objects.in_bulk()
    assert (rows[waits].tracking_no, rows[waits].carrier, rows[waits].city) == (" T-1", "D\nHL", "Oz")
    assert rows[waits].ship_to == {"name": "M\u00fcller", "lines": ["1 Ru\u00e9", "Ann\u202eeeL"], "city": "Oz"}
    assert (rows[same].version, rows[gone].carrier) == (1, "U\nPS")
    event.refresh_from_db()
    assert event.location == "Hub"
    take_in("shipping", "0008_text_taken_in")
    assert {(one.thing, one.field) for one in left("shipping")} == {
        (f"shipment:{waits}", "carrier"),
        (f"shipment:{waits}", "tracking_no"),
    }


def test_notifications() -> None:
    made = {"kind": "note", "channel": "email", "message": "a\r\nb\n", "subject": " Hi"}
    waits, sent, wrong = (
        Notification.objects.create(recipient=recipient, status=status, **made)
        for recipient, status in (("x@stra\u00dfe.de", "QUEUED"), ("x@stra\u00dfe.de", "SENT"), ("nobody", "FAILED"))
    )
    take_in("notifications", "0007_text_taken_in")
    for row in (waits, sent, wrong):
        row.refresh_from_db()
    assert (waits.recipient, waits.subject, waits.message) == ("x@xn--strae-oqa.de", "Hi", "a\nb")
    assert (sent.recipient, sent.subject, wrong.recipient) == ("x@stra\u00dfe.de", "Hi", "nobody")
    assert left("notifications") == []


def test_what_is_left_is_listed_until_somebody_has_changed_it() -> None:
    refused, other = product("C", "line\nbreak", category="\u202ex"), product(" D")
    product("D")
    strange = customer('"x y"@example.com', phone="call me")
    for _ in range(2):
        take_in("catalog", "0005_text_taken_in")
        take_in("customers", "0006_text_taken_in")
    assert {(one.thing, one.field) for one in left("catalog")} == {
        (f"product:{refused}", "name"),
        (f"product:{refused}", "category"),
        (f"product:{other}", "sku"),
    }
    assert {one.why for one in left("customers")} == {"This is not a valid e-mail address.", text.PHONE_RULE}
    Product.objects.filter(pk=refused).update(name="line break")
    Product.objects.filter(pk=other).delete()
    assert [one.field for one in left("catalog")] == ["category"]
    services.erase_customer(customer_id=strange, actor="staff:ann")
    assert left("customers") == []


def test_many_rows(said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    from eci import intake

    monkeypatch.setattr(intake, "_READ", 3)
    for number in range(10):
        product(f"{number} ")
    take_in("catalog", "0005_text_taken_in")
    assert sorted(Product.objects.values_list("sku", flat=True)) == [str(number) for number in range(10)]


def test_a_line_of_the_log_has_no_text_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(intake, "log", structlog.wrap_logger(None, processors=[captured]))
    strange = customer('"x y"@example.com', phone="call me")
    take_in("customers", "0006_text_taken_in")
    lines = captured.entries
    assert [only_allowed(None, "", line) for line in lines] == [
        {name: value for name, value in line.items() if name != "log_level"} for line in lines
    ]
    assert lines[0]["id"] == strange
    assert "example.com" not in repr(lines)
