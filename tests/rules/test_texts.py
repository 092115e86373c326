"""The same text at every door: the same answer, and the same text stored.

First all fields, found from the serializers and the forms: each takes text in by the intake's rule. Then, over HTTP and
by commands, what is stored. A door is a line in ``DOORS``: where a text goes in, by which rule, and where it is shown.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest
from django import forms as django_forms
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework import serializers

from contexts.catalog.models import Product
from contexts.customers.domain import known_email
from contexts.customers.http.serializers import AddressIn, KnownEmailField
from contexts.customers.models import Customer
from contexts.inventory.models import Movement, Warehouse
from contexts.notifications.http.serializers import RecipientField
from contexts.orders.http.serializers import ReferenceField
from contexts.shipping.http.serializers import TrackingNumberField
from eci import forms, metadata, text
from eci.http import cards, fields
from eci.staff_forms import FORM_KEY, VERSION, new_key
from tests.support.api import Api
from tests.support.copies import Copied
from tests.support.pages import Browser, form_in
from tests.support.routes import routes
from tests.support.shop import Shop

pytestmark = [pytest.mark.long, pytest.mark.first(11)]

Rule = Callable[[str], str]


def nfd(given: str) -> str:
    return unicodedata.normalize("NFD", given)


TEXTS = [
    *(
        "Lampe",
        "größe",
        nfd("größe"),
        "Ångström",
        "\u212bngstro\u0308m",
        "ﬁ",
        "ＡＢＣ",
        "ß",
        "SS",
        "İ",
        "ı",
        "한글",
        nfd("한글"),
    ),
    *(" a", "a ", "\ta\n", "\xa0a\u3000", "a\u2028", "\r\na\r\n", "a  b", "a\xa0b", " ", "\u3000", ""),
    *(
        "a\nb",
        "a\r\nb",
        "a\rb",
        "a\tb",
        "a\x00b",
        "a\x07b",
        "a\x1bb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\x1f",
        "a\ud800b",
    ),
    *(
        "\u200b",
        "\ufeff",
        "\u3164",
        "\xad\u2060",
        "👩\u200d👧",
        "a\u200bb",
        "\u202ea",
        "a\u202eb\u202c",
        "a\u2067b\u2069",
        "a\u2060b",
        "\ufeffa",
        "a\u200fb",
        "a\ufe0fb",
        "x@a\xadb.de",
        "می\u200cخواهم",
        "e\u0301" * 64,
        "x" * 64,
        "x" * 65,
    ),
    *(
        "x" * 501,
        "a@exämple.de",
        nfd("a@exämple.de"),
        "a@ｅｘａｍｐｌｅ.com",
        "B@Example.COM",
        "x@straße.de",
        "x@strasse.de",
    ),
    *(
        "kırk@example.com",
        "ſam@example.com",
        '"<b>"@example.com',
        "a@例え。jp",
        "a@b",
        "a@example.com\n",
        " a@example.com",
    ),
    *(
        "12345",
        "+49 (0)30/123-45.6",
        "555-0100 ext 12",
        "1234",
        "１２３４５",
        "12345\n",
        "0" * 21,
        "<script>",
        "a/b",
        "'; --",
    ),
]
assert len(TEXTS) > 60


def cleaned(limit: int, *, lines: bool = False) -> Rule:
    return lambda given: text.clean(given, limit=limit, lines=lines)


def order_id(given: str) -> str:
    return text.code(given, limit=64, name="An order id")


def key(given: str) -> str:
    return text.code(given, limit=255, name="A key")


def tracking_no(given: str) -> str:
    number = text.code(given, limit=64, name="A tracking number")
    if "/" in number:
        raise ValueError
    return number


def recipient(given: str) -> str:
    with suppress(ValueError):
        return text.phone(given)
    return text.email(given)


# -- all fields -------------------------------------------------------------------------------------------------------

RULES: dict[type, Callable[[Any], Rule]] = {
    fields.TextField: lambda field: cleaned(field.max_length, lines=field.lines),
    fields.EmailField: lambda _: text.email,
    KnownEmailField: lambda _: known_email,
    fields.PhoneField: lambda _: text.phone,
    fields.SkuField: lambda _: text.sku,
    fields.WarehouseCodeField: lambda _: text.warehouse_code,
    fields.OrderIdField: lambda _: order_id,
    fields.BarcodeField: lambda _: text.barcode,
    fields.MetadataField: lambda _: metadata.clean,
    ReferenceField: lambda _: order_id,
    fields.IdempotencyKeyField: lambda _: key,
    TrackingNumberField: lambda _: tracking_no,
    RecipientField: lambda _: recipient,
    fields.AddressField: lambda field: lambda given: text.clean_lines(given, limit=field.limit),
    cards.CardlessTextField: lambda field: cleaned(field.max_length),
    forms.TextField: lambda field: cleaned(field.max_length, lines=field.lines),
    forms.CardlessTextField: lambda field: cleaned(field.max_length, lines=field.lines),
    forms.EmailField: lambda _: text.email,
    forms.PhoneField: lambda _: text.phone,
    forms.SkuField: lambda _: text.sku,
    forms.BarcodeField: lambda _: text.barcode,
    forms.WarehouseCodeField: lambda _: text.warehouse_code,
    forms.TrackingNumberField: lambda _: tracking_no,
}
NO_TEXT = (
    *(serializers.IntegerField, serializers.BooleanField, serializers.ChoiceField, serializers.DateTimeField),
    *(serializers.DateField, fields.AmountField, fields.CurrencyField, cards.CardlessWordField, serializers.RegexField),
    serializers.FileField,
)
BY_THEIR_OWN_RULE = {
    "cursor": "ours, signed",
    "type": "a word",
    "currency": "a code of ISO 4217",
    "skus": "several SKUs, each by the intake",
    "mapping": "names of columns, as the file has them",
    "options": "answers to questions, each of a known list",
}
BLANK = (serializers.ValidationError, django_forms.ValidationError)


def body_fields() -> Iterator[tuple[str, Any]]:
    for route in routes():
        for method, serializer in route.view.body_serializers.items():
            yield from inside(f"{method} {route.path}", serializer())
        if route.view.query_serializer:
            yield from inside(f"GET {route.path}", route.view.query_serializer())


def inside(where: str, field: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(field, serializers.Serializer):
        for name, inner in field.fields.items():
            yield from inside(f"{where} {name}", inner)
    elif isinstance(field, (serializers.ListSerializer, serializers.ListField, serializers.DictField)):
        yield from inside(where, field.child)
    elif not isinstance(field, NO_TEXT) and where.split()[-1] not in BY_THEIR_OWN_RULE:
        secret = isinstance(field, fields.TextField) and not field.trim_whitespace
        if not secret:
            yield where, field


def form_fields() -> Iterator[tuple[str, Any]]:
    from django.contrib import admin  # its pages are all registered by now

    found = list(django_forms.BaseForm.__subclasses__())
    found += [model_admin.form for model_admin in admin.site._registry.values()]
    for form in found:
        found += [one for one in form.__subclasses__() if one not in found]
        if form.__module__.startswith(("contexts.", "config.")):
            for name, field in form.base_fields.items():
                secret = isinstance(field.widget, django_forms.PasswordInput)
                texts = type(field) is django_forms.CharField or isinstance(
                    field, forms.TextField | django_forms.EmailField
                )
                if texts and not secret and name not in BY_THEIR_OWN_RULE:
                    yield f"{form.__module__}.{form.__name__} {name}", field


@pytest.mark.no_database
@pytest.mark.any_engine
def test_every_field_takes_text_in_by_the_intake() -> None:
    wrong = []
    seen = 0
    for where, field in [*body_fields(), *form_fields()]:
        seen += 1
        if type(field) not in RULES:
            wrong.append(f"{where}: {type(field).__name__} is no field of the intake")
            continue
        rule = RULES[type(field)](field)
        take = field.clean if isinstance(field, django_forms.Field) else field.run_validation
        for given in TEXTS:
            if not text.trim(given):
                continue  # whether a blank is allowed is each field's own
            try:
                answer = take(given)
            except BLANK:
                answer = None
            if answer != stored_by(rule, given):
                wrong.append(f"{where}: {given!r} became {answer!r}")
    assert not wrong, "\n".join(sorted(set(wrong)))
    assert seen > 60


def stored_by(rule: Rule, given: str) -> str | None:
    try:
        return rule(given)
    except ValueError:
        return None


# -- doors ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A small shop, staff's browser, and things that doors change."""

    api: Api
    shop: Shop
    names: dict[str, Any]
    browser: Browser

    @classmethod
    def open(cls, api: Api) -> World:
        shop = Shop.open(api)
        names = {
            "product": shop.product_id,
            "customer": shop.customer_id,
            "stock": api.get(f"/v1/inventory?product_id={shop.product_id}").data[0]["inventory_id"],
            "payment": api.post("/v1/payments", {"order_id": "P-1", "amount": 50_000}).data["payment_id"],
            "shipment": api.post("/v1/shipments", {"order_id": "S-1"}).data["shipment_id"],
        }
        return cls(api, shop, names, Browser())


def unique() -> str:
    return f"{random.randrange(10**15):015}"


Put = Callable[[World, str], str | None]


@dataclass(frozen=True)
class Door:
    """``put`` sends a text in and returns what is stored; None when it was refused. ``blank``: "" is allowed.

    ``once``: a second row of the same text is refused, or is the first.
    """

    name: str
    rule: Rule
    put: Put
    blank: bool = False
    once: bool = False


def api_door(
    call: str, field: str, rule: Rule, body: Callable[[], dict[str, Any]], *, shown: str = "", blank: bool = False,
    once: bool = False,
) -> Door:  # fmt: skip
    method, path = call.split()

    def put(world: World, given: str) -> str | None:
        answer = world.api.send(method, path.format_map(world.names), filled(body(), world) | {field: given})
        if answer.status in (400, 409):
            assert answer.status == 409 or field in answer.details or "\x00" in given or "\ud800" in given, answer.json
            return None
        assert answer.status < 300, answer.json
        return str(answer.data[shown or field])

    return Door(f"{call} {field}", rule, put, blank, once)


def filled(body: dict[str, Any], world: World) -> dict[str, Any]:
    return {name: world.names[value[1:-1]] if str(value).startswith("{") else value for name, value in body.items()}


def command_door(
    command: str, field: str, rule: Rule, make: Callable[[str], dict[str, Any]], read: Callable[[], Any], **more: bool
) -> Door:
    def put(world: World, given: str) -> str | None:
        try:
            call_command(command, **make(given))
        except ValueError:
            return None
        return str(read())

    return Door(f"command {command} {field}", rule, put, **more)


def product() -> dict[str, Any]:
    return {"sku": unique(), "name": "Name", "price": "1.00"}


def person() -> dict[str, Any]:
    return {"email": f"{unique()}@example.com", "full_name": "Ann", "password": "pass123"}


def warehouse() -> dict[str, Any]:
    return {"code": unique(), "name": "Name"}


def shipment() -> dict[str, Any]:
    return {"order_id": "S-2"}


def message() -> dict[str, Any]:
    return {"type": "note", "recipient": "a@example.com", "message": "Hello"}


def place() -> dict[str, Any]:
    return {"full_name": "Ann", "line1": "1 Main St", "city": "Springfield", "country": "US"}


def newest(model: Any, field: str) -> Callable[[], Any]:
    return lambda: model.objects.order_by("-pk").values_list(field, flat=True)[0]


def newest_warehouse(field: str) -> Callable[[], Any]:
    return lambda: Warehouse.objects.order_by("-created_at").values_list(field, flat=True)[0]


NAME, CATEGORY = cleaned(text.NAME), cleaned(text.CATEGORY)
DESCRIPTION = cleaned(text.DESCRIPTION, lines=True)
PRODUCT: dict[str, tuple[Rule, bool, bool]] = {  # rule, blank, once
    "sku": (text.sku, False, True),
    "name": (NAME, False, False),
    "category": (CATEGORY, True, False),
    "description": (DESCRIPTION, True, False),
}
PERSON: dict[str, tuple[Rule, bool, bool]] = {
    "email": (text.email, False, True),
    "full_name": (NAME, False, False),
    "phone": (text.phone, True, False),
}
KEPT = {"email": "new_email"}  # until its owner has followed the link
WAREHOUSE: dict[str, tuple[Rule, bool, bool]] = {
    "code": (text.warehouse_code, False, True),
    "name": (cleaned(text.WAREHOUSE_NAME), False, False),
    "address": (cleaned(300), True, False),
}


def loaded_product(field: str) -> Callable[[str], dict[str, Any]]:
    return lambda given: {"products": [product() | {"price": Decimal(1), field: given}]}


def loaded_person(field: str) -> Callable[[str], dict[str, Any]]:
    return lambda given: {"customers": [{"email": person()["email"], "full_name": "Ann", "phone": "", field: given}]}


def loaded_warehouse(field: str) -> Callable[[str], dict[str, Any]]:
    return lambda given: {"warehouses": [warehouse() | {"priority": 5, field: given}], "stock": {}}


def adjusted(world: World, given: str) -> str | None:
    body = {"product_id": world.shop.product_id, "warehouse": "WH001", "delta": 1, "reason": given}
    answer = world.api.post("/v1/inventory/adjustments", body)
    assert answer.status in (200, 201, 400), answer.json
    return None if answer.status == 400 else str(Movement.objects.order_by("-pk")[0].reason)


def doors() -> Iterator[Door]:
    for name, (rule, blank, once) in PRODUCT.items():
        yield api_door("POST /v1/products", name, rule, product, blank=blank, once=once)
        yield api_door("PATCH /v1/products/{product}", name, rule, dict, blank=blank)
        yield command_door(
            "load_products", name, rule, loaded_product(name), newest(Product, name), blank=blank, once=once
        )
    for name, (rule, blank, once) in PERSON.items():
        yield api_door("POST /v1/users/register", name, rule, person, blank=blank, once=once)
        yield api_door("PATCH /v1/customers/{customer}", name, rule, dict, shown=KEPT.get(name, ""), blank=blank)
        yield command_door(
            "load_customers", name, rule, loaded_person(name), newest(Customer, name), blank=blank, once=once
        )
    for name, (rule, blank, once) in WAREHOUSE.items():
        yield api_door("POST /v1/warehouses", name, rule, warehouse, blank=blank, once=once)
        if name != "address":
            yield command_door("load_stock", name, rule, loaded_warehouse(name), newest_warehouse(name), once=once)
    addresses = "/v1/customers/{customer}/addresses"
    for name in ("full_name", "line1", "city", "country"):
        limit = AddressIn().fields[name].max_length
        yield api_door(f"POST {addresses}", name, cleaned(limit), place, blank=name == "full_name")
    yield api_door(f"POST {addresses}", "phone", text.phone, place, blank=True)
    yield Door("POST /v1/inventory/adjustments reason", cleaned(200), adjusted)
    yield api_door(
        "POST /v1/inventory/reserve", "order_id", order_id, lambda: {"product_id": "{product}", "quantity": 1}
    )
    refund = {"amount": "0.01", "reason": "x"}
    yield api_door("POST /v1/payments/{payment}/refund", "reason", cleaned(500), lambda: refund)
    yield api_door("POST /v1/payments", "order_id", order_id, lambda: {"amount": "1.00"}, once=True)
    yield api_door("POST /v1/shipments", "carrier", cleaned(64), shipment)
    yield api_door("POST /v1/shipments", "city", cleaned(200), shipment, blank=True)
    yield api_door("POST /v1/shipments", "order_id", order_id, dict)
    yield api_door("POST /v1/shipments", "tracking_no", tracking_no, shipment, once=True)
    yield api_door("PATCH /v1/shipments/{shipment}", "carrier", cleaned(64), dict)
    yield api_door("POST /v1/notifications", "recipient", recipient, message)
    yield api_door("POST /v1/notifications", "subject", cleaned(200), message, blank=True)
    yield api_door("POST /v1/notifications", "message", cleaned(10_000, lines=True), message)
    yield api_door("POST /v1/notifications", "order_id", order_id, message)


DOORS = list(doors())
assert len(DOORS) > 40


def expected_of(rule: Rule, given: str, *, blank: bool) -> str | None:
    return stored_by(rule, given) if text.trim(given) else "" if blank else None


@pytest.fixture(scope="session")
def opened(copied: Callable[..., Copied[World]]) -> Copied[World]:
    return copied(World.open)


@pytest.fixture
def world(api: Api, opened: Copied[World]) -> World:
    world = replace(opened.put(api), api=api, browser=Browser())
    world.browser.force_login(User.objects.create_superuser("root", "root@shop.example"))
    return world


@pytest.mark.any_engine
@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_door_stores_what_the_intake_says(world: World, door: Door) -> None:
    wrong = []
    seen = set()
    for given in TEXTS:
        expected = expected_of(door.rule, given, blank=door.blank)
        found = door.put(world, given)
        if door.once and expected is not None:
            if expected.lower() in seen:
                continue
            seen.add(expected.lower())
        if found != expected:
            wrong.append(f"{given!r} became {found!r} instead of {expected!r}")
    assert not wrong, "\n".join(wrong)


# -- staff's pages ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """A form of staff's. A text goes into several of its fields at once, because a page takes long to show.

    ``fresh``: what a field has when it is not its turn. ``row`` finds what was stored.
    """

    path: str
    fields: dict[str, tuple[Rule, bool, bool]]
    fresh: Callable[[], dict[str, Any]]
    row: Callable[[World], Any]

    def texts(self, name: str, *, taken: bool) -> list[tuple[str, str | None]]:
        """Those that this field takes, with what is stored of each, or those that it refuses."""
        rule, blank, once = self.fields[name]
        found: dict[str, tuple[str, str | None]] = {}
        for given in TEXTS:
            expected = expected_of(rule, given, blank=blank)
            if "\ud800" not in given and taken == (expected is not None):  # no browser can send a lone half
                found.setdefault(expected.lower() if once and expected else given, (given, expected))
        return list(found.values())

    def rounds(self, *, taken: bool) -> Iterator[dict[str, tuple[str, str | None]]]:
        """Each text of each field in turn, by field."""
        lists = [self.texts(name, taken=taken) for name in self.fields]
        for row in zip_longest(*lists):
            yield {name: one for name, one in zip(self.fields, row, strict=True) if one}


PAGES = [
    Page(
        "/admin/catalog/product/add/",
        PRODUCT,
        lambda: product() | {"currency": "USD", "is_active": "on"},
        lambda _: Product.objects.order_by("-pk")[0],
    ),
    Page(
        "/admin/catalog/product/{product}/change/",
        {name: (rule, blank, False) for name, (rule, blank, _) in PRODUCT.items()},
        lambda: product() | {"currency": "USD", "is_active": "on"},
        lambda world: Product.objects.get(pk=world.shop.product_id),
    ),
    Page(
        "/admin/customers/customer/{customer}/change/",
        {name: (rule, blank, False) for name, (rule, blank, _) in PERSON.items()},
        lambda: (
            {"email": "ann@example.com", "full_name": "Ann", "phone": ""}
            | {"addresses-TOTAL_FORMS": 0, "addresses-INITIAL_FORMS": 0}
        ),
        lambda world: Customer.objects.get(pk=world.shop.customer_id),
    ),
    Page(
        "/admin/inventory/warehouse/add/",
        WAREHOUSE,
        lambda: warehouse() | {"priority": 5},
        lambda _: Warehouse.objects.order_by("-created_at")[0],
    ),
]


@pytest.mark.any_engine
@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_a_page_stores_what_the_intake_says(world: World, page: Page) -> None:
    path = page.path.format_map(world.names)
    wrong = []
    shown = form_in(world.browser.get(path).content.decode(), having=FORM_KEY).fields
    hidden = {name: value for name, value in shown.items() if name.startswith(("_", "initial-"))}
    hidden |= {f"initial-{name}": "something else" for name in page.fields}  # so that each text is a change
    for texts in page.rounds(taken=True):
        hidden[FORM_KEY] = new_key(path)
        if hidden[VERSION]:
            hidden[VERSION] = str(page.row(world).version)
        form = hidden | page.fresh() | {name: given for name, (given, _) in texts.items()}
        answer = world.browser.post(path, form)
        if answer.status_code != 302:
            wrong.append(f"{texts} were refused: {errors(answer)}")
            continue
        row = page.row(world)
        for name, (given, expected) in texts.items():
            stored = str(getattr(row, KEPT.get(name, name)))
            if stored != expected:
                wrong.append(f"{name}: {given!r} became {stored!r} instead of {expected!r}")
    untouched = form_in(world.browser.get(path).content.decode(), having=FORM_KEY).fields | page.fresh()
    for texts in page.rounds(taken=False):
        answer = world.browser.post(path, untouched | {name: given for name, (given, _) in texts.items()})
        assert answer.status_code == 200, (texts, answer.status_code)
        wrong += [f"{name}: {texts[name][0]!r} was taken" for name in texts.keys() - errors(answer)]
    assert not wrong, "\n".join(wrong)


def errors(answer: Any) -> set[str]:
    return set(answer.context["adminform"].form.errors)


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("more", ["A ", " A", "A\u3000", "A\n"])
def test_outer_spaces_make_no_second_thing(api: Api, more: str) -> None:
    """On every engine: some of MySQL's collations ignore spaces at the end, the others' do not."""
    first = api.post("/v1/products", {"sku": "A", "name": "n", "price": 1})
    again = api.post("/v1/products", {"sku": more, "name": "n", "price": 1})
    assert (first.status, again.status, again.code) == (201, 409, "duplicate_sku")
    body = {"order_id": "A", "amount": 1, "idempotency_key": "A"}
    payment = api.post("/v1/payments", body).data["payment_id"]
    again = api.post("/v1/payments", body | {"order_id": more, "idempotency_key": more})
    assert (again.data["payment_id"], again.headers["Idempotent-Replayed"]) == (payment, "true")


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("form", ["gr\u00f6\u00dfe", "gro\u0308\u00dfe", "%20gr\u00f6\u00dfe%20"])
def test_references_in_paths_and_queries_are_taken_in_too(api: Api, form: str) -> None:
    product_id = api.post("/v1/products", {"sku": "gr\u00f6\u00dfe", "name": "n", "price": 1}).data["product_id"]
    assert api.get(f"/v1/products/sku/{form}").data["product_id"] == product_id
    api.post("/v1/shipments", {"order_id": "gr\u00f6\u00dfe", "tracking_no": "gr\u00f6\u00dfe"})
    assert api.get(f"/v1/shipments/track/{form}").status == 200
    assert len(api.get(f"/v1/shipments?order_id={form}").data) == 1
    api.post("/v1/payments", {"order_id": "gr\u00f6\u00dfe", "amount": 1})
    assert len(api.get(f"/v1/payments?order_id={form}").data) == 1
