"""Bad input at every door: each a clear refusal in the envelope, and nothing moves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator

from contexts.orders import services
from tests.support.api import Answer, Api
from tests.support.copies import Copied
from tests.support.product import require_envelope
from tests.support.shop import Shop

pytestmark = [pytest.mark.long, pytest.mark.django_db(databases="__all__"), pytest.mark.first(11)]

HUGE = 10**30
OVERFLOW = "@1e400"  # written into the body as the bare number 1e400
NOT_NUMBERS: list[Any] = [True, [], {}, "x", float("nan"), float("inf"), float("-inf"), OVERFLOW]
NOT_TEXT: list[Any] = [5, 1.5, True, [], {}, "a\0b", "\ud800"]
CARDS = ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111"]

BAD: dict[str, list[Any]] = {
    "id": [*NOT_NUMBERS, None, 0, -1, 1.5, 1.0, "1", 2**53 + 1, 2**64, HUGE],
    "quantity": [*NOT_NUMBERS, None, 0, -1, 1.5, 1.0, "1", 1_000_001, HUGE],
    "units": [*NOT_NUMBERS, None, 0, -1, 1.5, 1.0, "1", 1_000_000_001, HUGE],
    "count": [*NOT_NUMBERS, -1, 1.5, "1", 1_000_000_001, HUGE],
    "delta": [*NOT_NUMBERS, None, 0, 1.5, "1", -1_000_000_001, HUGE],
    "moment": [*NOT_NUMBERS, None, 0, 1.5, "noon", "9999-01-01T00:00:00Z"],
    "minutes": [*NOT_NUMBERS, 0, -1, 1441, 1.5, "15", HUGE],
    "priority": [*NOT_NUMBERS, 1.5, "1", HUGE],
    "amount": [*NOT_NUMBERS, "", " ", "-1", -0.01, 1.001, "1.001", 10**12, "1000000000000", HUGE, "NaN", "1e3", "1,5"],
    "text": [*NOT_TEXT, None, "", "   ", "x" * 20_000],
    "note": [*NOT_TEXT, "x" * 20_000],
    "long": [*NOT_TEXT, "x" * 50_001],
    "sku": [*NOT_TEXT, None, "", "x" * 65, "a\nb"],
    "code": [*NOT_TEXT, "", "x" * 65, "a\nb"],
    "word": [*NOT_TEXT, "", "two words", "x" * 41, "x\ny"],
    "method": [*NOT_TEXT, "", "two words", "x" * 41, *CARDS],
    "token": [*NOT_TEXT, "x" * 101, *CARDS],
    "currency": [*NOT_TEXT, "", "US", "USDX", "XYZ"],
    "order_id": [True, [], {}, 1.5, "", "  ", "x" * 65, 10**70, "a\nb", "a\0b", "\ud800", float("nan")],
    "key": [5, True, [], {}, "", "x" * 256, "a\nb", "a\x07b", "a\0b", "\ud800"],
    "bool": [0, 1, "true", "", [], {}],
    "choice": [5, True, [], {}, "", "nonsense"],
    "email": [*NOT_TEXT, None, "", "x", "a@", "@b.c", "a b@c.de", "a@b.de\nBcc: c@d.ef", "x" * 320 + "@b.de"],
    "phone": [*NOT_TEXT, "none", "1" * 60],
    "password": [*NOT_TEXT, None, "", "five5", "x" * 201],
    "given": [*NOT_TEXT, None, "", "x" * 10_000],
    "address": [5, True, [], "x" * 501, {"street": 5}, {"street": [5]}, {"x" * 51: "x"}, "a\0b", {"": "x"}],
    "ship_to": [5, True, [], "x" * 1_001, {"street": 5}, {"street": [5]}, {"x" * 51: "x"}, "a\0b", {"phone": "abc"}],
    "means": [5, "x", [], {"token": 5}, {"method": CARDS[0]}, {"token": CARDS[1]}, {"method": {}}],
    "lines": [
        None, 5, "x", {}, [], [None], [5], ["x"], [[]], [{}], [{"product_id": 1}], [{"quantity": 1}],
        *([{"product_id": 1, "quantity": quantity}] for quantity in (0, -1, 1.5, True, "1", None, 1_000_001, HUGE)),
        *([{"product_id": product_id, "quantity": 1}] for product_id in (0, -1, True, "1", 1.5, [], HUGE)),
    ],
    "counts": [
        None, 5, {}, [], [None], [[]], [{}], [{"product_id": 1, "warehouse": "WH001"}],
        *([{"product_id": 1, "warehouse": "WH001", "onhand": units}] for units in (-1, 1.5, True, "1", None, HUGE)),
        *([{"product_id": product_id, "warehouse": "WH001", "onhand": 1}] for product_id in (0, True, "1", [], HUGE)),
        *([{"sku": sku, "warehouse": "WH001", "onhand": 1}] for sku in (5, None, "", "x" * 65, "a\nb")),
    ],
    "barcode": [5, True, [], {}, "", "1234567", "1" * 15, "12345678x"],
    "metadata": [
        None, 5, "x", [], *({"a": value} for value in (5, True, [], {}, "x" * 501, "a\nb", "\x00")), {"": "x"},
        {"a" * 41: "x"}, {str(number): "x" for number in range(101)},
    ],
    "received_lines": [
        [], {}, 5, *([{"product_id": 1, "quantity": quantity}] for quantity in (0, -1, 1.5, True, "1", None, HUGE)),
        *([{"product_id": 1, "quantity": 1, "disposition": word}] for word in ("", "eaten", None, 5)),
    ],
    "order_lines": [
        [{"product_id": 1, "quantity": 1, "price": price}] for price in (-1, "x", True, [], float("nan"), OVERFLOW)
    ],
}  # fmt: skip

DEEP = b"[" * 10_000 + b"]" * 10_000
BODIES: list[bytes] = [
    b"{", b'{"a": 1,}', b"{'a': 1}", b"\xff\xfe{\x00}\x00", b'{"a": "\xff"}', b"[]", b"[{}]", b'"text"', b"5", b"null",
    b"true", b"NaN", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": ' + b"9" * 5_000 + b"}", DEEP, b'{"a": ' + DEEP + b"}",
    b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": "\\ud800"}', b'{"a": 1} {"b": 2}', b"a=1&b=2",
]  # fmt: skip
TOO_LARGE = b'{"a": "' + b"x" * 2_000_000 + b'"}'
MEDIA_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
KEYS = ["", "x" * 256, "a\x07b", "a\tb"]


@dataclass(frozen=True)
class Door:
    """A call that takes a body: one that is valid, and what kind of value each field is."""

    method: str
    path: str
    body: dict[str, Any]
    kinds: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


LINES = [{"product_id": "{product}", "quantity": 1}]
PRODUCT = {
    "sku": "sku", "name": "text", "price": "amount", "category": "note", "currency": "currency", "is_active": "bool",
    "description": "long", "barcode": "barcode", "metadata": "metadata",
}  # fmt: skip
ORDER = {
    "customer_id": "id", "items": "lines", "shipping_address": "address", "payment": "means", "pay_later": "bool",
    "fulfilment": "choice", "reference": "order_id", "metadata": "metadata", "idempotency_key": "key",
}  # fmt: skip
CHARGE = {
    "order_id": "order_id", "amount": "amount", "method": "method", "token": "token", "currency": "currency",
    "idempotency_key": "key",
}  # fmt: skip
COUNTS = {"items": [{"product_id": "{product}", "warehouse": "WH001", "onhand": 50}], "reason": "count"}
HOLD = {"idempotency_key": "{hold}", "order_id": "FOREIGN"}
ADJUSTMENT = {"product_id": "{product}", "warehouse": "WH001", "delta": 1, "reason": "found"}
MESSAGE = {"type": "email", "recipient": "a@example.com", "message": "Hello"}
ADDRESS = {"line1": "1 Main St", "city": "Springfield", "country": "US"}
ADDRESS_KINDS = {"line1": "text", "city": "text", "country": "text", "postal_code": "note", "phone": "phone"}

DOORS = [
    Door("POST", "/v1/products", {"sku": "NEW", "name": "New", "price": 1}, PRODUCT),
    Door("PUT", "/v1/products/{product}", {"sku": "NEW", "name": "New", "price": 1}, PRODUCT),
    Door("PATCH", "/v1/products/{product}", {"name": "New"}, PRODUCT),
    Door(
        "POST",
        "/v1/inventory",
        {"product_id": "{product}", "warehouse": "WH001", "onhand": 5},
        {"product_id": "id", "warehouse": "code", "onhand": "units", "reorder_point": "count"},
    ),
    Door(
        "PATCH",
        "/v1/inventory/{stock}",
        {"onhand": 50, "reason": "count"},
        {
            "onhand": "count", "expected_onhand": "count", "counted_at": "moment", "reorder_point": "count",
            "reason": "text", "force": "bool",
        },
    ),
    Door(
        "POST",
        "/v1/inventory/adjustments",
        ADJUSTMENT,
        {"product_id": "id", "warehouse": "code", "delta": "delta", "reason": "text"},
    ),
    Door(
        "POST",
        "/v1/inventory/counts",
        COUNTS,
        {"items": "counts", "reason": "text", "mode": "choice", "partial": "bool"},
    ),
    Door(
        "POST",
        "/v1/inventory/transfers",
        {"product_id": "{product}", "from_warehouse": "WH001", "to_warehouse": "WH002", "quantity": 1},
        {"product_id": "id", "from_warehouse": "code", "to_warehouse": "code", "quantity": "units"},
    ),
    Door(
        "POST",
        "/v1/inventory/reserve",
        {"product_id": "{product}", "quantity": 1},
        {
            "product_id": "id", "quantity": "quantity", "warehouse": "code", "order_id": "order_id",
            "reservation_minutes": "minutes", "idempotency_key": "key",
        },
    ),
    Door("POST", "/v1/inventory/reserve", {"items": LINES}, {"items": "lines"}),
    *(
        Door("POST", f"/v1/inventory/{verb}", HOLD, {"idempotency_key": "key", "order_id": "order_id"})
        for verb in ("confirm", "release", "ship")
    ),
    Door(
        "POST",
        "/v1/warehouses",
        {"code": "WH009", "name": "Ninth"},
        {"code": "code", "name": "text", "priority": "priority", "address": "note", "is_active": "bool"},
    ),
    Door(
        "PATCH",
        "/v1/warehouses/WH002",
        {"name": "Second"},
        {"name": "text", "priority": "priority", "address": "note", "is_active": "bool"},
    ),
    Door(
        "POST",
        "/v1/users/register",
        {"email": "new@example.com", "full_name": "New", "password": "pass123"},
        {"email": "email", "full_name": "text", "password": "password", "phone": "phone"},
    ),
    Door(
        "POST",
        "/v1/users/login",
        {"email": "nobody@example.com", "password": "pass123"},
        {"email": "given", "password": "given"},
    ),
    Door(
        "POST",
        "/v1/staff/token",
        {"email": "nobody@example.com", "password": "pass123"},
        {"email": "given", "password": "given"},
    ),
    Door("POST", "/v1/users/token/refresh", {"refresh": "nonsense"}, {"refresh": "given"}),
    Door("POST", "/v1/users/logout", {"refresh": "nonsense"}, {"refresh": "given"}),
    Door("POST", "/v1/users/password/reset", {"email": "nobody@example.com"}, {"email": "email"}),
    Door(
        "POST",
        "/v1/users/password/reset/confirm",
        {"token": "nonsense", "new_password": "pass1234"},
        {"token": "given", "new_password": "password"},
    ),
    Door("POST", "/v1/users/email/verify", {"token": "nonsense"}, {"token": "given"}),
    Door(
        "PATCH",
        "/v1/customers/{customer}",
        {"full_name": "New"},
        {"email": "email", "full_name": "text", "phone": "phone", "metadata": "metadata"},
    ),
    Door("POST", "/v1/customers/{customer}/addresses", ADDRESS, ADDRESS_KINDS),
    Door("PATCH", "/v1/customers/{customer}/addresses/{address}", ADDRESS, ADDRESS_KINDS),
    Door("POST", "/v1/orders", {"customer_id": "{customer}", "items": LINES}, ORDER),
    Door("POST", "/v1/orders", {"customer_id": "{customer}", "items": LINES}, {"items": "order_lines"}),
    Door("POST", "/v1/orders", {"email": "guest@example.com", "items": LINES}, {"email": "email"}),
    Door("POST", "/v1/orders/quote", {"customer_id": "{customer}", "items": LINES}, ORDER),
    Door("PATCH", "/v1/orders/{confirmed}", {"metadata": {}}, {"metadata": "metadata"}),
    Door("POST", "/v1/orders/{confirmed}/cancel", {"reason": "changed my mind"}, {"reason": "note"}),
    Door(
        "POST",
        "/v1/orders/{shipped}/returns",
        {"items": LINES, "reason": "too small"},
        {"items": "lines", "reason": "text", "disposition": "choice"},
    ),
    Door("POST", "/v1/orders/{asked}/returns/{return}/receive", {"items": LINES}, {"items": "received_lines"}),
    Door("POST", "/v1/orders/{asked}/returns/{return}/refuse", {"reason": "worn"}, {"reason": "text"}),
    Door("POST", "/v1/payments/charge", {"order_id": "FOREIGN", "amount": 1}, CHARGE),
    Door("POST", "/v1/payments", {"order_id": "FOREIGN", "amount": 1}, CHARGE),
    Door(
        "POST",
        "/v1/payments/{payment}/refund",
        {"amount": 1, "reason": "scratched"},
        {"amount": "amount", "reason": "note", "idempotency_key": "key"},
    ),
    Door(
        "POST",
        "/v1/shipments",
        {"order_id": "FOREIGN"},
        {
            "order_id": "order_id", "address": "ship_to", "city": "note", "carrier": "text", "tracking_no": "sku",
            "status": "choice", "ship_to": "ship_to",
        },
    ),
    Door(
        "PATCH",
        "/v1/shipments/{shipment}",
        {"status": "PACKED"},
        {
            "status": "choice", "location": "note", "note": "note", "carrier": "text", "tracking_no": "sku",
            "force": "bool",
        },
    ),
    Door(
        "POST",
        "/v1/notifications",
        MESSAGE,
        {"type": "word", "recipient": "email", "subject": "note", "message": "text", "order_id": "order_id"},
    ),
    Door("POST", "/v1/notifications/{notice}/again", {"reason": "lost"}, {"reason": "text", "recipient": "email"}),
]  # fmt: skip
OPTIONAL_TEXT = {("POST", "/v1/shipments", "tracking_no")}  # null is "none given"


@dataclass(frozen=True)
class World:
    """A small shop, and the names by which doors and questions speak of it."""

    api: Api
    names: dict[str, Any]
    before: dict[str, list[Any]]

    @classmethod
    def open(cls, api: Api) -> World:
        shop = Shop.open(api)
        address = api.post(f"/v1/customers/{shop.customer_id}/addresses", ADDRESS)
        hold = {"product_id": shop.product_id, "quantity": 1, "order_id": "FOREIGN", "idempotency_key": "hold"}
        assert api.post("/v1/inventory/reserve", hold).status == 200
        names: dict[str, Any] = {
            "product": shop.product_id,
            "customer": shop.customer_id,
            "address": address.data["address_id"],
            "stock": api.get(f"/v1/inventory?product_id={shop.product_id}").data[0]["inventory_id"],
            "hold": "hold",
            "shipped": shop.order(1).data["order_id"],
            "confirmed": shop.order(1, fulfilment="warehouse").data["order_id"],
            "payment": api.post("/v1/payments", {"order_id": "FOREIGN", "amount": 50}).data["payment_id"],
            "shipment": api.post("/v1/shipments", {"order_id": "FOREIGN"}).data["shipment_id"],
            "notice": api.post("/v1/notifications", MESSAGE).data["notification_id"],
        }
        names["asked"] = shop.order(1).data["order_id"]
        wanted = {shop.product_id: 1}
        asked = services.request_return(order_id=names["asked"], wanted=wanted, reason="small", actor="customer:1")
        names["return"] = asked.pk
        return cls(api, names, everything())

    def filled(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {name: self.filled(value) for name, value in template.items()}
        if isinstance(template, list):
            return [self.filled(value) for value in template]
        if not isinstance(template, str):
            return template
        alone = re.fullmatch(r"\{(\w+)\}", template)
        return self.names[alone[1]] if alone else template.format_map(self.names)

    def require_untouched(self) -> None:
        after = everything()
        assert {name for name in after if after[name] != self.before[name]} == set()


def everything() -> dict[str, list[Any]]:
    """Every row of every context, but the remembered answers, and what triggers keep of other rows."""
    models = [model for name in settings.ECI_CONTEXTS for model in apps.get_app_config(name).get_models()]
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values_list())
        for model in models
        if model.__name__ != "Idempotency" and model._meta.managed
    }


@pytest.fixture(scope="session")
def opened(copied: Callable[..., Copied[World]]) -> Copied[World]:
    return copied(World.open)


@pytest.fixture
def world(api: Api, opened: Copied[World]) -> World:
    return replace(opened.put(api), api=api)


def written(body: dict[str, Any]) -> bytes:
    return json.dumps(body).replace(f'"{OVERFLOW}"', OVERFLOW[1:]).encode()


def bad_values(door: Door) -> Iterator[tuple[str, Any]]:
    for name, kind in door.kinds.items():
        for value in BAD[kind]:
            if value is None and (door.method, door.path, name) in OPTIONAL_TEXT:
                continue
            yield name, value


def complaint(answer: Answer, expected: set[int]) -> str:
    """What is wrong with a refusal; nothing when it is as it should be."""
    try:
        require_envelope(answer)
    except AssertionError as error:
        return f"{answer.status}, not in the envelope: {error}"
    if answer.status not in expected:
        return f"{answer.status} {answer.json.get('code')}: {answer.json.get('error')}"
    return ""


@pytest.mark.any_engine
@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.name} {'+'.join(door.kinds)}"[:60])
def test_bad_values(world: World, door: Door) -> None:
    """Every field of every body, with every kind of value that it cannot have."""
    path, body = world.filled(door.path), world.filled(door.body)
    wrong = []
    for name, value in bad_values(door):
        answer = world.api.send(door.method, path, written(body | {name: value}))
        problem = complaint(answer, {400})
        if not problem and "\\u0000" not in json.dumps(value) and "\\ud800" not in json.dumps(value):
            finite = "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value)
            if finite and name not in answer.details:
                problem = f"does not name the field: {answer.json['details']}"
        if problem:
            wrong.append(f"{name}={json.dumps(value)[:60]}: {problem[:300]}")
    assert not wrong, "\n".join(wrong)
    world.require_untouched()


@pytest.mark.any_engine
@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.name} {'+'.join(door.kinds)}"[:60])
def test_bad_bodies(world: World, door: Door) -> None:
    """Bodies that are no JSON object, too large or of another kind, and keys that are none."""
    path, body = world.filled(door.path), written(world.filled(door.body))
    wrong = []
    for content in BODIES:
        problem = complaint(world.api.send(door.method, path, content), {400})
        wrong += [f"{content[:40]!r}: {problem[:300]}"] if problem else []
    problem = complaint(world.api.send(door.method, path, TOO_LARGE), {400, 413})
    wrong += [f"2 MB: {problem[:300]}"] if problem else []
    for media_type in MEDIA_TYPES:
        problem = complaint(world.api.send(door.method, path, body, content_type=media_type), {415})
        wrong += [f"{media_type}: {problem[:300]}"] if problem else []
    if door.method == "POST" and not door.path.endswith("quote"):
        for key in KEYS:
            problem = complaint(world.api.send(door.method, path, body, key=key), {400})
            wrong += [f"key {key[:20]!r}: {problem[:300]}"] if problem else []
    assert not wrong, "\n".join(wrong)
    world.require_untouched()


# They need a customer's own login, or a signature: test_objects, test_openapi and payments' test_webhooks call them.
ELSEWHERE = {
    "PATCH /v1/users/me",
    "POST /v1/users/me/addresses",
    "PATCH /v1/users/me/addresses/{}",
    "POST /v1/users/password/change",
    "POST /v1/users/sessions/revoke",
    "POST /v1/payments/webhooks/{}",
    *("POST /v1/imports", "PATCH /v1/imports/{}", "POST /v1/imports/{}/apply", "POST /v1/imports/{}/undo"),
    *(f"POST /v1/{things}/import" for things in ("products", "inventory", "customers")),
}


def test_every_call_with_a_body_is_swept() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    called = {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}"
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch") and not path.endswith("/retry")
    }
    assert called == {re.sub(r"{[^}]*}", "{}", door.name.replace("WH002", "{}")) for door in DOORS} | ELSEWHERE


UNKNOWN = 999_999_999
REFUSED = [
    # unknown things
    ("POST", "/v1/inventory", {"product_id": UNKNOWN, "warehouse": "WH001", "onhand": 1}, 404, "not_found"),
    ("POST", "/v1/inventory/reserve", {"product_id": UNKNOWN, "quantity": 1}, 404, "not_found"),
    ("POST", "/v1/inventory/reserve", {"product_id": "{product}", "quantity": 1, "warehouse": "X"}, 404, "not_found"),
    ("POST", "/v1/inventory/reserve", {"product_id": "{product}", "quantity": 1, "order_id": "ORD-X"}, 404, None),
    ("POST", "/v1/inventory/confirm", {"idempotency_key": "nobody", "order_id": "X"}, 404, "not_found"),
    ("POST", "/v1/inventory/ship", {"idempotency_key": "hold", "order_id": "ANOTHER"}, 404, "not_found"),
    ("POST", "/v1/inventory/release", {"reservation_id": UNKNOWN}, 404, "not_found"),
    ("PATCH", f"/v1/inventory/{UNKNOWN}", {"onhand": 1, "reason": "x"}, 404, "not_found"),
    ("POST", "/v1/orders", {"customer_id": UNKNOWN, "items": LINES}, 404, "not_found"),
    ("POST", "/v1/orders", {"customer_id": "{customer}", "items": [{"product_id": UNKNOWN, "quantity": 1}]}, 404, None),
    ("POST", "/v1/orders/quote", {"customer_id": UNKNOWN, "items": LINES}, 404, "not_found"),
    ("POST", "/v1/orders/ORD-NOTHING/cancel", {}, 404, "not_found"),
    ("POST", "/v1/orders/ORD-NOTHING/returns", {"items": LINES, "reason": "x"}, 404, "not_found"),
    ("POST", "/v1/payments/charge", {"order_id": "ORD-NOTHING", "amount": 1}, 404, "not_found"),
    ("POST", f"/v1/payments/{UNKNOWN}/refund", {"amount": 1, "reason": "x"}, 404, "not_found"),
    ("POST", "/v1/shipments", {"order_id": "ORD-NOTHING"}, 404, "not_found"),
    ("PATCH", f"/v1/shipments/{UNKNOWN}", {"status": "PACKED"}, 404, "not_found"),
    ("POST", "/v1/notifications", MESSAGE | {"order_id": "ORD-X"}, 404, "not_found"),
    ("POST", f"/v1/notifications/{UNKNOWN}/retry", {}, 404, "not_found"),
    ("POST", f"/v1/notifications/{UNKNOWN}/again", {"reason": "x"}, 404, "not_found"),
    ("PATCH", f"/v1/products/{UNKNOWN}", {"name": "x"}, 404, "not_found"),
    ("DELETE", f"/v1/products/{UNKNOWN}", None, 404, "not_found"),
    ("PATCH", f"/v1/customers/{UNKNOWN}", {"full_name": "x"}, 404, "not_found"),
    # against the state
    ("POST", "/v1/orders/{shipped}/cancel", {}, 409, "invalid_transition"),
    ("POST", "/v1/orders/{confirmed}/returns", {"items": LINES, "reason": "x"}, 409, "invalid_transition"),
    ("POST", "/v1/orders/{shipped}/returns", {"items": LINES * 2, "reason": "x"}, 409, "return_exceeds_shipped"),
    ("POST", "/v1/orders/{shipped}/returns/{return}/receive", {}, 404, "not_found"),
    ("POST", "/v1/orders/{asked}/returns/{return}/receive", {"items": LINES * 2}, 409, "return_exceeds_shipped"),
    ("POST", "/v1/payments/{payment}/refund", {"amount": "50.01", "reason": "x"}, 409, "refund_exceeds_captured"),
    ("POST", "/v1/payments/charge", {"order_id": "{shipped}", "amount": 1}, 409, None),
    ("POST", "/v1/inventory/reserve", {"product_id": "{product}", "quantity": 5_000}, 409, "insufficient_stock"),
    ("POST", "/v1/inventory/reserve", {"items": LINES, "order_id": "{shipped}"}, 409, "owned_by_order"),
    ("POST", "/v1/inventory/release", {"idempotency_key": "{shipped}"}, 409, "owned_by_order"),
    ("POST", "/v1/shipments", {"order_id": "{shipped}"}, 409, "owned_by_order"),
    ("POST", "/v1/inventory/adjustments", ADJUSTMENT | {"delta": -5_000}, 409, None),
    ("PATCH", "/v1/inventory/{stock}", {"onhand": 0, "reason": "x"}, 409, None),
    # too many lines
    ("POST", "/v1/inventory/reserve", {"items": LINES * 1_001}, 400, "validation_error"),
    ("POST", "/v1/orders", {"customer_id": "{customer}", "items": LINES * 1_001}, 400, "validation_error"),
    ("POST", "/v1/orders/quote", {"customer_id": "{customer}", "items": LINES * 1_001}, 400, "validation_error"),
    # the wrong method, the wrong address
    ("DELETE", "/v1/orders", None, 405, "method_not_allowed"),
    ("PUT", "/v1/orders/{shipped}", {}, 405, "method_not_allowed"),
    ("GET", "/v1/payments/charge", None, 405, "method_not_allowed"),
    ("GET", "/v1/nowhere", None, 404, "not_found"),
    ("POST", "/v1/nowhere", {}, 404, "not_found"),
    ("GET", "/api/v1/orders/v1/nowhere", None, 404, "not_found"),
    # ids in paths
    *(
        ("GET", f"/v1/{rows}/{wrong}", None, 404, "not_found")
        for rows in ("products", "customers", "payments", "shipments", "notifications", "inventory/availability")
        for wrong in ("abc", "-1", "0", "1.5", "1e3", "%00", "%E2%82%AC", str(HUGE), "9" * 400)
    ),
    *(
        ("GET", f"/v1/orders/{wrong}", None, 404, "not_found")
        for wrong in ("1", "ORD-X", "x" * 65, "a%00b", "%0a", "%ff")
    ),
    ("GET", "/v1/products/sku/" + "x" * 65, None, 404, "not_found"),
    ("GET", "/v1/shipments/track/nothing", None, 404, "not_found"),
    # questions
    *(
        ("GET", f"/v1/{rows}?{question}", None, 400, "validation_error")
        for rows in (
            "products", "products/search", "inventory", "inventory/reservations", "inventory/movements", "warehouses",
            "customers", "orders", "payments", "shipments", "notifications",
        )
        for question in ("limit=0", "limit=101", "limit=-1", "limit=x", "limit=1.5", "cursor=x",
                         "cursor=" + "x" * 2_000, "cursor=%00", "unknown=1", "limit=5&nonsense", "limit=5&limit=5",
                         "ordering=nonsense")
    ),
    *(
        ("GET", path, None, 400, "validation_error")
        for path in (
            "/v1/products/1?unknown=1", "/v1/orders?created_after=2026-11-30&created_after=2026-12-05",
            "/v1/products?is_active=maybe", "/v1/products?category=%00",
            "/v1/products/search?min_price=5&max_price=1", "/v1/products/search?min_price=NaN",
            "/v1/products/search?max_price=-1", "/v1/products/search?min_price=x", "/v1/products/search?q=%00",
            "/v1/inventory/availability", "/v1/inventory/availability?product_ids=",
            "/v1/inventory/availability?product_ids=1,x", "/v1/inventory/availability?product_ids=1,,2",
            f"/v1/inventory/availability?product_ids={HUGE}",
            "/v1/inventory/availability?product_ids=" + ",".join("1" * 201),
            f"/v1/inventory?product_id={HUGE}", "/v1/inventory?product_id=x", "/v1/inventory?low_stock=maybe",
            "/v1/inventory/reservations?status=nonsense", "/v1/orders?status=nonsense", "/v1/orders?customer_id=x",
            f"/v1/orders?customer_id={HUGE}", "/v1/orders?created_after=yesterday", "/v1/orders?created_before=%00",
            "/v1/payments?order_id=" + "x" * 65, "/v1/shipments?status=nonsense", "/v1/notifications?status=nonsense",
        )
    ),
]  # fmt: skip


def test_what_does_not_exist_or_cannot_be_done(world: World) -> None:
    wrong = []
    for method, path, body, status, code in REFUSED:
        answer = world.api.send(method, world.filled(path), None if body is None else written(world.filled(body)))
        problem = complaint(answer, {status})
        if not problem and code is not None and answer.code != code:
            problem = f"{answer.code}: {answer.error}"
        if problem:
            wrong.append(f"{method} {path[:80]} {str(body)[:80]} ({status} {code}): {problem[:300]}")
    assert not wrong, "\n".join(wrong)
    world.require_untouched()


def test_a_key_in_header_and_body_must_agree(world: World) -> None:
    body = world.filled({"customer_id": "{customer}", "items": LINES, "idempotency_key": "one"})
    differing = world.api.post("/v1/orders", body, key="other")
    assert (differing.status, differing.code) == (400, "validation_error")
    world.require_untouched()
