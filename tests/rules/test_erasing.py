"""Erasing a person, and telling them what is known: plain SQL looks for them in every column of every database."""

from __future__ import annotations

import importlib
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core import mail
from django.db import connections, models

from config.books import audit, checkup
from config.books.models import CheckUp
from config.contexts import CONTEXTS
from config.people import export
from contexts.customers.models import TokenFamily
from contexts.customers.public.events import CustomerErased
from contexts.notifications import workflows
from contexts.notifications.adapters import NotDelivered
from contexts.notifications.adapters.email import Mailer
from contexts.notifications.models import Notification
from contexts.notifications.public.api import notifications
from contexts.notifications.tasks import send_due
from contexts.orders.models import OutboxEvent
from contexts.orders.public.api import orders
from contexts.orders.public.events import ReturnRefused
from eci import erasure, outbox
from eci.clock import utcnow
from tests.support.api import Api, settle
from tests.support.people import PASSWORD, Person, customer, log_in, refresh, register, staff
from tests.support.world import ROOT

pytestmark = pytest.mark.usefixtures("closed")

EMAIL, NAME, PHONE, STREET, TOWN = (
    "annabel@quimby.example",
    "Annabel Quimby",
    "+1 555 0142",
    "7 Secret Lane",
    "Nowhereville",
)
REFERENCE = f"{NAME} 0171"
MARKS = ("annabel", "quimby", "555 0142", "secret lane", "nowhereville")
WHERE = {"name": NAME, "line1": STREET, "city": TOWN, "phone": PHONE}
OTHERS = ("guest@other.example", "1 guest street", "bob@other.example")
ME, EXPORT = "/v1/users/me", "/v1/users/me/export"

Column = tuple[str, str]


def found(marks: tuple[str, ...] = MARKS) -> dict[Column, list[Any]]:
    """Every value, by table and column, in which any of the marks stands."""
    hits: dict[Column, dict[Any, None]] = defaultdict(dict)
    for alias in connections:
        connection = connections[alias]
        with connection.cursor() as cursor:
            for table in connection.introspection.table_names(cursor):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                columns = [column[0] for column in cursor.description]
                for row in cursor.fetchall():
                    for column, value in zip(columns, row, strict=True):
                        if any(mark in str(value).lower() for mark in marks):
                            hits[table, column][str(value)] = None
    return {column: list(values) for column, values in hits.items()}


def documented() -> dict[Column, str]:
    """The table of docs/security.md: column -> whether the export has it, and why not."""
    rows = re.findall(r"^\| `(\w+)\.(\w+)` \| (.+) \|$", (ROOT / "docs/security.md").read_text(), re.MULTILINE)
    return {(table, column): exported for table, column, exported in rows}


# Text that is about no customer. Who adds a column of text says where it belongs: here, or in docs/security.md.
IN_ANY_TABLE = {
    "set by the product": "state status kind mode step undo event name consumer purpose channel currency old_currency",
    "more of that": "closed_reason review suspicion payment_status fulfilment disposition outcome action thing",
    "ids and keys": "order_id aggregate_id resource key dedupe_key scope idempotency_scope idempotency_key",
    "names of processes and requests": "nonce trace lease_owner",
    "digests": "digest salt signature fingerprint idempotency_fingerprint used_key successor staff_stamp password"
    " email_digest",
    "accounts, by number or of staff": "actor undo_actor undone_by answered_by reviewed_by",
    "goods and places of the shop": "sku code warehouse asked_warehouse barcode",
    "sums": "figures",
}
IN_ONE = {
    "goods and places of the shop": "catalog_product.description catalog_product.category catalog_product.metadata"
    " catalog_product.name_key catalog_product.category_key catalog_product.search_text catalog_product.plain_name"
    " catalog_categorycount.category_key catalog_categorycount.category"
    " catalog_product.terms catalog_word.word catalog_word.head catalog_word.tail inventory_warehouse.address"
    " catalog_bulkchange.what catalog_bulkchange.lines catalog_bulkchange.kept"
    " catalog_trail.before catalog_trail.after inventory_trail.before inventory_trail.after"
    " inventory_allocation.moved_from inventory_reservation.choice inventory_reservation.why"
    " inventory_ledgerlink.erased inventory_ledgercheck.verified inventory_ledgercheck.findings",
    "files and answers about goods": " ".join(
        f"{context}_{table}.{name}"
        for context in ("catalog", "inventory")
        for table, names in (
            ("import", ("filename", "given", "detected", "questions", "notes", "counts", "error")),
            ("importpiece", ("content",)),
            ("importline", ("values", "changes", "messages", "cells")),
            ("idempotency", ("answer",)),
        )
        for name in names
    ),
    "files of customers, erased with each of them (tests/contexts/customers/test_imports.py)": " ".join(
        f"customers_{table}.{name}"
        for table, names in (
            ("import", ("filename", "given", "detected", "questions", "notes", "counts", "error")),
            ("importpiece", ("content",)),
            ("importline", ("values", "changes", "messages", "cells")),
        )
        for name in names
    ),
    "staff's own, about stock and the shop": "inventory_movement.reason inventory_movement.reference"
    " inventory_restocking.reference orders_switch.reason",
    "ids and states that staff changed": " ".join(
        f"{context}_trail.{side}"
        for context in ("orders", "payments", "shipping", "notifications")
        for side in ("before", "after")
    ),
    "events have ids": " ".join(f"{context}_outboxevent.payload" for context in CONTEXTS if context != "orders"),
    "products and numbers": "orders_return.items orders_return.line_units orders_return.received",
    "the product's or the provider's words": "orders_order.refusal payments_payment.reference"
    " payments_payment.decline_reason",
    "a means of payment, in words": "orders_order.method payments_payment.method",
    "the provider's tokens": "orders_order.token payments_payment.token",
    "carriers": "shipping_shipment.carrier shipping_shipment.tracking_no",
    "a mail server's answer without the address": "notifications_attempt.answer",
}


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def told_in(values: list[str]) -> set[str]:
    """The texts with a mark in these values of a column, which may be JSON."""
    inner = [text for value in values for text in (texts(json.loads(value)) if value.startswith("{") else [value])]
    return {text for text in inner if any(mark in text.lower() for mark in MARKS)}


def _is_about_her(payload: Any) -> bool:
    return any(mark in str(payload).lower() for mark in MARKS)


def prune() -> None:
    for context in CONTEXTS:
        importlib.import_module(f"contexts.{context}.tasks").prune()


def books() -> Any:
    """What a bookkeeper adds up."""
    sums = {
        "orders": "SELECT COUNT(*), SUM(total_minor), SUM(tax_minor), SUM(refunded_minor) FROM orders_order",
        "payments": "SELECT COUNT(*), SUM(captured_minor), SUM(refunded_minor) FROM payments_payment",
        "inventory": "SELECT COUNT(*), SUM(delta) FROM inventory_movement",
        "shipping": "SELECT COUNT(*), COUNT(dispatched_at) FROM shipping_shipment",
    }
    for alias, statement in sums.items():
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
            yield alias, cursor.fetchone()
    verdict = audit.look()
    yield verdict.orders, verdict.findings


@dataclass
class Life:
    """What became of her here, and who she dealt with."""

    ann: Person
    support: Person
    stock: Person
    lamp: int
    orders: dict[str, Any] = field(default_factory=dict)

    def order(self, name: str, status: int = 201, by: Person | None = None, **more: Any) -> Any:
        body = {"items": [{"product_id": self.lamp, "quantity": 2}], "shipping_address": WHERE} | more
        answer = (by or self.ann).post("/v1/orders", body, key=name)
        assert answer.status == status, answer.json
        if status == 409:
            return answer.details
        self.orders[name] = answer.json["data"] or answer.details
        return self.orders[name]


@pytest.fixture
def lamp() -> int:
    admin = staff("admin")
    admin.post("/v1/warehouses", {"code": "WH001", "name": "North"})
    product_id = admin.post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "99.99"}).data["product_id"]
    assert admin.post("/v1/inventory", {"product_id": product_id, "warehouse": "WH001", "onhand": 100}).status == 201
    return int(product_id)


def enter() -> Person:
    """She registers and logs in."""
    body = {"email": EMAIL, "full_name": NAME, "password": PASSWORD, "phone": PHONE}
    assert Api().post("/v1/users/register", body, key="register").status == 201
    return Person(log_in(EMAIL).data)


@pytest.fixture
def life(lamp: int, monkeypatch: pytest.MonkeyPatch) -> Life:
    her = Life(enter(), staff("P"), staff("S"), lamp)
    ann, support, stock = her.ann, her.support, her.stock
    Api().post("/v1/users/password/reset", {"email": EMAIL})
    address = {"full_name": NAME, "line1": STREET, "city": TOWN, "country": TOWN, "phone": PHONE}
    address |= {"line2": f"c/o {NAME}", "region": TOWN, "postal_code": "QUIMBY 1"}
    assert ann.post("/v1/users/me/addresses", address, key="address").status == 200

    shipped = her.order("shipped")
    returned = her.order("returned")
    back = {"items": [{"product_id": lamp, "quantity": 2}], "reason": f"{NAME} sends it from {STREET}"}
    asked = ann.post(f"/v1/orders/{returned['order_id']}/returns", back, key="return")
    assert asked.status == 201
    receive = f"/v1/orders/{returned['order_id']}/returns/{asked.data['return_id']}/receive"
    assert stock.post(receive, {}, key="receive").status == 200
    refused = her.order("not taken back")
    asked = ann.post(f"/v1/orders/{refused['order_id']}/returns", back, key="another return")
    refuse = f"/v1/orders/{refused['order_id']}/returns/{asked.data['return_id']}/refuse"
    assert support.post(refuse, {"reason": f"{NAME} has worn it"}, key="refuse").status == 200
    named = {"customer_id": ann.customer_id, "reference": REFERENCE, "metadata": {"caller": NAME}}
    her.order("by telephone", by=support, **named)
    assert her.order("by telephone again", 409, by=support, **named)["reference"] == REFERENCE
    assert support.patch(f"/v1/customers/{ann.customer_id}", {"metadata": {"called": NAME}}).status == 200
    her.order("declined", 402, payment={"token": "tok_declined"})
    cancelled = her.order("cancelled", fulfilment="warehouse")
    reason = {"reason": f"{NAME} has moved to {TOWN}"}
    assert ann.post(f"/v1/orders/{cancelled['order_id']}/cancel", reason, key="cancel").status == 200
    charged = her.order("charged", pay_later=True)
    due = {"order_id": charged["order_id"], "amount": charged["order_total"]}
    assert ann.post("/v1/payments/charge", due, key="charge").status == 200
    her.order("under way", fulfilment="warehouse")
    her.order("unpaid", pay_later=True)

    payment, parcel = shipped["payments"][0]["payment_id"], shipped["shipments"][0]["shipment_id"]
    gesture = {"amount": "1.00", "reason": f"for {NAME}"}
    assert support.post(f"/v1/payments/{payment}/refund", gesture, key="refund").status == 200
    note = {"text": f"{NAME} called", "actor": "staff:support", "key": "note"}
    assert not orders.note(order_id=shipped["order_id"], **note).repeated
    step = {"status": "IN_TRANSIT", "location": f"at {STREET}", "note": f"{NAME} was out"}
    assert stock.send("PATCH", f"/v1/shipments/{parcel}", step, key="step").status == 200
    for name in (f"{NAME} Senior", NAME):
        assert support.patch(f"/v1/customers/{ann.customer_id}", {"full_name": name}).status == 200
    assert ann.patch(ME, {"email": f"new.{EMAIL}", "current_password": PASSWORD}).status == 200
    call = {"type": "sms", "recipient": PHONE, "message": f"Dear {NAME}", "order_id": shipped["order_id"]}
    assert support.post("/v1/notifications", call, key="call").status == 201
    settle()

    letter = {"type": "email", "recipient": EMAIL, "subject": f"Dear {NAME}", "message": f"We come to {STREET}"}
    notice = support.post("/v1/notifications", letter, key="letter").data["notification_id"]
    with monkeypatch.context() as patched:
        refusal = NotDelivered(f"The mail server answered 550 <{EMAIL.upper()}> {EMAIL} is unknown", permanent=True)
        patched.setattr(Mailer, "send", lambda *_, **__: (_ for _ in ()).throw(refusal))
        send_due()
        patched.setattr(audit, "PAUSE", 0)
        checkup.check_up()
    assert "is unknown" in repr(CheckUp.objects.values())
    again = {"reason": f"{NAME} never got it", "actor": "staff:support", "key": "again"}
    assert not notifications.send_again(notification_id=notice, **again).repeated
    assert support.post(f"/v1/notifications/{notice}/retry", {}, key="retry").data["recipient"] == EMAIL

    guest = {"email": EMAIL, "items": [{"product_id": lamp, "quantity": 1}]}
    assert support.post("/v1/orders", guest, key="as a guest").status == 201
    guest = {"email": OTHERS[0], "shipping_address": OTHERS[1], "items": [{"product_id": lamp, "quantity": 1}]}
    assert support.post("/v1/orders", guest, key="guest").status == 201
    customer(OTHERS[2]).post("/v1/orders", {"items": guest["items"], "shipping_address": OTHERS[2]})
    settle()
    assert all(order["status"] == "SENT" for order in support.get("/v1/notifications?limit=100").data)
    return her


@pytest.mark.any_engine
def test_where_people_are_is_written_down_and_the_export_has_it(life: Life) -> None:
    hits, table = found(), documented()
    assert set(hits) - set(table) == set(), "kept of people, but nobody has written it down"
    assert set(table) - set(hits) == set(), "written down, but nothing was there"
    exported = set(texts(life.ann.get(EXPORT).data))
    missing = {column: told_in(hits[column]) - exported for column, told in table.items() if told == "yes"}
    assert {column: values for column, values in missing.items() if values} == {}


@pytest.mark.no_database
@pytest.mark.any_engine
def test_each_column_of_text_is_listed() -> None:
    anywhere = {name for names in IN_ANY_TABLE.values() for name in names.split()}
    listed = {tuple(column.split(".")) for columns in IN_ONE.values() for column in columns.split()} | set(documented())
    kept = {
        (model._meta.db_table, column.column)
        for context in CONTEXTS
        for model in apps.get_app_config(context).get_models()
        for column in model._meta.concrete_fields
        if isinstance(column, models.CharField | models.TextField | models.JSONField | models.BinaryField)
    }
    assert {column for column in kept - listed if column[1] not in anywhere} == set(), "it may be about a person"
    assert listed - kept == set(), "there is no such column"


def test_erased_is_everywhere_and_the_books_stay(life: Life) -> None:
    before, others = list(books()), found(OTHERS)
    assert life.ann.send("DELETE", ME).status == 204
    settle()
    still = {"orders_order.shipping_address", "orders_idempotency.answer"}
    still |= {"shipping_shipment.address", "shipping_shipment.city", "shipping_shipment.ship_to"}
    assert {".".join(column) for column in found()} == still | {"orders_outboxevent.payload"}, (
        "an order that is to be sent needs its address, and what was told of a return is kept"
    )
    assert list(books()) == before
    assert before[-1][1] == ()
    assert found(OTHERS) == others

    shown = life.support.get(f"/v1/orders/{life.orders['under way']['order_id']}").data
    parcel = shown["shipments"][0]
    assert (parcel["address"], parcel["city"]) == (STREET, TOWN)
    assert (parcel["ship_to"]["name"], parcel["ship_to"]["phone"]) == (NAME, PHONE)
    assert life.stock.patch(f"/v1/shipments/{parcel['shipment_id']}", {"status": "SHIPPED"}).status == 200
    assert life.support.post(f"/v1/orders/{life.orders['unpaid']['order_id']}/cancel", {}).status == 200
    sent = len(mail.outbox)
    settle()
    assert len(mail.outbox) == sent, "they get no mail any more"
    prune()
    assert {".".join(column) for column in found()} == {"orders_outboxevent.payload"}
    told = OutboxEvent.objects.all()
    assert {one.name for one in told if _is_about_her(one.payload)} == {ReturnRefused.NAME}, "why it was refused"
    told.update(delivered_at=utcnow() - outbox.KEPT - timedelta(seconds=1))
    prune()
    assert found() == {}, "that stays for 14 days"
    assert audit.look().findings == ()
    shown = life.support.get(f"/v1/orders/{life.orders['shipped']['order_id']}").data
    assert (shown["customer_id"], shown["shipping_address"]) == (life.ann.customer_id, None)
    assert shown["order_total"] == life.orders["shipped"]["order_total"]


@pytest.mark.any_engine
def test_a_key_that_was_used_stays_used_and_its_answer_is_gone(life: Life) -> None:
    life.ann.send("DELETE", ME)
    body = {"email": EMAIL, "full_name": NAME, "password": PASSWORD, "phone": PHONE}
    again = Api().post("/v1/users/register", body, key="register")
    assert (again.status, again.code, again.headers["Idempotent-Replayed"]) == (404, "not_found", "true")
    payment = life.orders["shipped"]["payments"][0]["payment_id"]
    gesture = {"amount": "1.00", "reason": f"for {NAME}"}
    repeated = life.support.post(f"/v1/payments/{payment}/refund", gesture, key="refund")
    assert (repeated.status, repeated.headers["Idempotent-Replayed"]) == (404, "true"), "not refunded twice"


class TestTheLogin:
    def test_ends_everywhere_and_the_address_is_free_again(self) -> None:
        ann = enter()
        phone = Person(log_in(EMAIL).data)
        assert ann.send("DELETE", ME).status == 204
        for person in (ann, phone):
            assert (person.get(ME).status, refresh(person.login["refresh"]).status) == (401, 401)
        assert log_in(EMAIL).status == 401
        assert staff("P").get(f"/v1/customers/{ann.customer_id}").status == 404
        assert staff("admin").get("/v1/customers").data == []
        Api().post("/v1/users/password/reset", {"email": EMAIL})
        settle()
        assert mail.outbox == []

    @pytest.mark.any_engine
    def test_whoever_comes_with_the_address_later_is_somebody_else(self, life: Life) -> None:
        life.ann.send("DELETE", ME)
        new = register(EMAIL, full_name=NAME)
        assert new != life.ann.customer_id
        ann = Person(log_in(EMAIL).data)
        assert (ann.get("/v1/orders").data, ann.get("/v1/payments").data, ann.get("/v1/shipments").data) == ([], [], [])
        order = ann.post("/v1/orders", {"items": [{"product_id": life.lamp, "quantity": 1}]}).data["order_id"]
        settle()
        being_sent = Notification.objects.filter(customer_id=life.ann.customer_id).latest("pk")
        Notification.objects.filter(pk=being_sent.pk).update(recipient=EMAIL)  # to the first, when she was erased
        prune()
        assert ann.get(ME).data["full_name"] == NAME
        notices = life.support.get(f"/v1/notifications?order_id={order}").data
        assert {notice["recipient"] for notice in notices} == {EMAIL}, "what is hers is not taken for the other's"

    def test_an_old_one_needs_the_password(self) -> None:
        ann = enter()
        TokenFamily.objects.update(created_at=utcnow() - timedelta(minutes=16))
        for body in (None, {}, {"current_password": ""}, {"current_password": "guess"}):
            answer = ann.send("DELETE", ME, body)
            assert (answer.status, list(answer.details)) == (400, ["current_password"])
        assert ann.get(ME).status == 200
        assert ann.send("DELETE", ME, {"current_password": PASSWORD}).status == 204

    def test_a_wrong_password_is_wrong_just_after_logging_in_too(self) -> None:
        assert enter().send("DELETE", ME, {"current_password": "guess"}).status == 400


def test_an_address_she_had_before_goes_too(lamp: int) -> None:
    her = Life(enter(), staff("P"), staff("S"), lamp)
    Api().post("/v1/users/password/reset", {"email": EMAIL})
    her.order("shipped")
    settle()
    assert her.ann.patch(ME, {"email": "new@example.com", "current_password": PASSWORD}).status == 200
    her.order("shipped to the new one")
    settle()
    assert her.ann.send("DELETE", ME).status == 204
    assert found((*MARKS, "new@example.com")) == {}


def test_what_they_ordered_as_a_guest_goes_too(lamp: int) -> None:
    """Orders tells shipping, which does not know whose a guest's shipment is."""
    her = Life(enter(), staff("P"), staff("S"), lamp)
    for fulfilment in ("automatic", "warehouse"):
        guest = {"email": EMAIL.upper(), "shipping_address": WHERE, "items": [{"product_id": lamp, "quantity": 1}]}
        placed = her.support.post("/v1/orders", guest | {"fulfilment": fulfilment, "reference": f"{NAME} {fulfilment}"})
        assert placed.status == 201, placed.json
    settle()
    (parcel,) = placed.data["shipments"]
    assert her.ann.send("DELETE", ME).status == 204
    settle()
    still = {".".join(column) for column in found()}
    assert {"shipping_shipment.address", "shipping_shipment.city", "shipping_shipment.ship_to"} <= still, (
        "it is to be sent"
    )
    assert her.stock.patch(f"/v1/shipments/{parcel['shipment_id']}", {"status": "DELIVERED"}).status == 200
    sent = len(mail.outbox)
    settle()
    assert len(mail.outbox) == sent, "they get no mail any more"
    prune()
    assert found() == {}


class TestGuests:
    """Among many addresses, which are read in pages of two here."""

    @pytest.fixture(autouse=True)
    def pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(erasure, "_PAGE", 2)

    @pytest.fixture
    def guests(self, lamp: int) -> list[str]:
        addresses = [f"g{number}@many.example" for number in range(5)]
        support = staff("P")
        for address in addresses:
            body = {"email": address, "items": [{"product_id": lamp, "quantity": 1}]}
            assert support.post("/v1/orders", body, key=f"guest {address[:2]}").status == 201
        settle()
        return addresses

    def erase(self, addresses: list[str]) -> None:
        """The events about these people reach everybody together."""
        told = [
            CustomerErased(version=1, customer_id=900 + number, email_digest=erasure.email_digest(address))
            for number, address in enumerate(addresses)
        ]
        for consumer in settings.ECI_SUBSCRIPTIONS[CustomerErased.NAME]:
            payloads = [(event.NAME, event.payload()) for event in told]
            outbox.receive(
                consumer,
                [
                    outbox.Delivery(event_id=uuid.uuid4(), name=name, payload=payload, trace={})
                    for name, payload in payloads
                ],
            )

    def test_are_found_on_every_page_and_no_others(self, guests: list[str]) -> None:
        gone = [guests[0], guests[3], guests[4]]
        self.erase([*gone, "nobody@many.example"])
        assert found(tuple(gone)) == {}
        assert {"orders_order", "notifications_notification"} <= {column[0] for column in found((guests[1],))}
        assert [erasure.sought(context) for context in ("orders", "notifications")] == [set(), set()]

    def test_one_look_serves_all_who_are_erased_together(
        self, guests: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone, looked, digest = guests[:4], [], erasure.email_digest
        told = [digest(address) for address in gone]
        monkeypatch.setattr(erasure, "email_digest", lambda address: looked.append(address) or digest(address))
        self.erase(gone)
        assert found(tuple(gone)) == {}
        assert len(looked) == len(told) + 2 * len(guests), "each context that knows guests has looked at each once"

    def test_who_was_not_looked_for_is_when_the_hour_s_tidying_has_come(
        self, guests: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*words: Any) -> Any:
            raise ConnectionError

        with monkeypatch.context() as patched:
            patched.setattr(erasure, "find_guests", killed)
            self.erase(guests[:1])
        assert found((guests[0],)) != {}
        prune()
        assert found((guests[0],)) == {}


class TestWhatComesLate:
    def told(self, customer_id: int) -> None:
        """The event reaches everybody, as another delivery of it."""
        event = CustomerErased(version=1, customer_id=customer_id)
        for consumer in settings.ECI_SUBSCRIPTIONS[event.NAME]:
            told = outbox.Delivery(event_id=uuid.uuid4(), name=event.NAME, payload=event.payload(), trace={})
            outbox.receive(consumer, [told])

    def test_an_order_placed_in_the_same_moment(self, lamp: int) -> None:
        """It was begun before the person was erased, and recorded after the others had heard of it."""
        her = Life(enter(), staff("P"), staff("S"), lamp)
        self.told(her.ann.customer_id)
        her.order("late")
        settle()
        assert her.ann.send("DELETE", ME).status == 204
        assert found() == {}

    def test_the_same_order_once_the_hour_s_tidying_has_come(self, lamp: int) -> None:
        her = Life(enter(), staff("P"), staff("S"), lamp)
        self.told(her.ann.customer_id)
        her.order("late")
        settle()
        prune()
        assert not [column for column in found() if not column[0].startswith("customers_")]

    @pytest.mark.any_engine
    def test_the_event_twice(self, life: Life) -> None:
        life.ann.send("DELETE", ME)
        settle()
        before = found()
        for _ in range(2):
            self.told(life.ann.customer_id)
        assert found() == before

    def test_a_mail_that_is_being_sent(self, lamp: int, monkeypatch: pytest.MonkeyPatch) -> None:
        her = Life(enter(), staff("P"), staff("S"), lamp)
        her.order("shipped")
        outbox.relay_once(settings.ECI_CONTEXTS)
        really, erased = Mailer.send, []

        def send(*words: Any, **names: Any) -> None:
            erased.append(her.ann.send("DELETE", ME).status)
            really(*words, **names)

        monkeypatch.setattr(Mailer, "send", send)
        monkeypatch.setattr(workflows, "TURN", 0)  # the next mail has a turn of its own
        send_due()
        assert erased[0] == 204
        assert len(mail.outbox) == 1, "what was not begun is not sent"
        prune()
        assert found() == {}
        assert sorted(Notification.objects.values_list("status", flat=True)) == ["SENT", "SUPPRESSED"]

    def test_a_letter_of_staff_that_waits_is_not_sent(self) -> None:
        ann = enter()
        letter = {"type": "email", "recipient": EMAIL.upper(), "message": f"Dear {NAME}"}
        assert staff("P").post("/v1/notifications", letter).status == 201
        ann.send("DELETE", ME)
        settle()
        assert mail.outbox == []
        assert found() == {}


@pytest.mark.any_engine
class TestTheExport:
    def test_is_of_the_caller_alone(self, life: Life) -> None:
        exported = life.ann.get(EXPORT)
        assert exported.headers["Cache-Control"] == "no-store"
        text = json.dumps(exported.data).lower()
        assert [mark for mark in OTHERS if mark in text] == []
        bob = json.dumps(Person(log_in(OTHERS[2]).data).get(EXPORT).data).lower()
        assert OTHERS[2] in bob
        assert [mark for mark in MARKS if mark in bob] == []
        assert [life.support.get(EXPORT).status, Api().get(EXPORT).status] == [403, 401]
        assert Person(life.ann.login).get("/api/v1/customers/v1/users/me/export").data == exported.data

    def test_tells_everything_and_no_secrets(self, life: Life) -> None:
        data = life.ann.get(EXPORT).data
        assert len(data["orders"]) == len(life.orders)
        assert {order["status"] for order in data["orders"]} == {
            "SHIPPED", "RETURNED", "CANCELLED", "CONFIRMED", "AWAITING_PAYMENT",
        }  # fmt: skip
        shipped = next(row for row in data["orders"] if row["order_id"] == life.orders["shipped"]["order_id"])
        assert (shipped["total"], shipped["refunded"]) == (life.orders["shipped"]["order_total"], "1.00")
        assert [(line["sku"], line["quantity"], line["unit_price"]) for line in shipped["lines"]] == [
            ("LAMP", 2, "99.99")
        ]
        amounts = [refund["amount"] for row in data["payments"] for refund in row["refunds"]]
        assert "1.00" in amounts
        assert {step["status"] for row in data["shipments"] for step in row["steps"]} >= {"SHIPPED", "IN_TRANSIT"}
        assert {notice["kind"] for notice in data["notices"]} >= {"order_confirmation", "refund", "password_reset"}
        assert "argon2" not in json.dumps(data)
        assert "was out" not in json.dumps(data), "staff's notes"

    def test_goes_on_page_by_page(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = life.ann.get(EXPORT).data
        for size in (1, 2, 3):
            monkeypatch.setattr(export, "PAGE", size)
            assert life.ann.get(EXPORT).data == whole

    def test_asks_no_more_for_many_orders(self, lamp: int, statements: Any) -> None:
        her = Life(enter(), staff("P"), staff("S"), lamp)
        counts = []
        for name in ("one", "two", "three"):
            her.order(name)
            settle()
            with statements() as counted:
                assert her.ann.get(EXPORT).status == 200
            counts.append(counted.total)
        assert len(set(counts)) == 1, counts
