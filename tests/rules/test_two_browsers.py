"""Every form of staff's pages, in two browsers: no lost update, no double effect.

The forms are found, not listed: each page to change or add a row, each page of its own beside them, each action. Forms
whose owners do not keep the rule yet stand in ``NOT_YET``, which only gets shorter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.urls.exceptions import NoReverseMatch

from contexts.catalog import selectors as catalog
from contexts.catalog import services as changing
from contexts.orders import services
from eci.staff import ReadOnly
from tests.support.api import Api
from tests.support.copies import Copied
from tests.support.pages import Form, forms_in
from tests.support.shop import Shop

pytestmark = [pytest.mark.long, pytest.mark.any_engine, pytest.mark.first(11)]

NOT_YET: set[str] = set()
# What two people enter adds up, so the second one overwrites nothing.
ADDS_UP = {
    "inventory.stock receive",
    "inventory.stock adjust",
    "inventory.stock inventory_stock_receipt",
    "inventory.stock inventory_stock_document",
}
# What must stand in a field, by its name, where no text will do.
TYPED = {
    "sku": "NEW-1",
    "barcode": "4006381333931",
    "metadata": '{"erp": "7"}',
    "email": "new@example.com",
    "price": "3.00",
    "currency": "USD",
    "code": "NEW",
    "username": "newcomer",
    "password1": "correct horse battery",
    "password2": "correct horse battery",
    "phone": "555 1234",
    "priority": "7",
}
# What is typed into the form of an action that shows first what it would do.
ASKED: dict[str, dict[str, str]] = {"reprice": {"direction": "more", "percent": "5"}}
_OWN = ("changelist", "add", "history", "delete", "change", "autocomplete", "export")
_UNSEEN = {"sessions.session", "admin.logentry"}


# The rows that a command is for.
FITS: dict[str, dict[str, Any]] = {
    "payments_payment_refund": {"status": "COMPLETED"},
}


def with_orders(api: Api) -> Shop:
    shop = Shop.open(api)
    asked = shop.order().data["order_id"]
    services.request_return(order_id=asked, wanted={shop.product_id: 1}, reason="too small", actor="customer:1")
    shop.order(fulfilment="warehouse")
    shop.order()
    api.settle()
    Group.objects.create(name="night shift")
    product = catalog.product_by_sku(sku="RUG")
    changing.change_together(
        rows=[{"sku": "RUG", "price": Decimal(11)}], seen={"RUG": product["version"]}, what="prices", actor="staff:ann"
    )
    return shop


@pytest.fixture(scope="session")
def worked_in(copied: Callable[..., Copied[Shop]]) -> Copied[Shop]:
    return copied(with_orders)


@pytest.fixture
def world(api: Api, worked_in: Copied[Shop]) -> Shop:
    return replace(worked_in.put(api), api=api)


@pytest.fixture
def ann() -> Client:
    return browser("ann.a")


@pytest.fixture
def bob() -> Client:
    return browser("bob.b")


def browser(name: str) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser(name, f"{name}@example.com", "secret-123"))
    return client


# -- what there is ----------------------------------------------------------------------------------------------------


def admins() -> list[Any]:
    return sorted(admin.site._registry.values(), key=lambda one: one.opts.label_lower)


def names() -> list[str]:
    return [one.opts.label_lower for one in admins()]


def writable() -> list[str]:
    return [one.opts.label_lower for one in admins() if not isinstance(one, ReadOnly)]


def of(label: str) -> Any:
    return admin.site._registry[apps.get_model(label)]


def page_of(one: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{one.opts.app_label}_{one.opts.model_name}_{page}", args=args)


def change_page(one: Any) -> str | None:
    row = one.model._default_manager.order_by("pk").last()
    return page_of(one, "change", row.pk) if row else None


def save_form(page: Any) -> Form | None:
    """The form to change or add a row, if the page has one that may be sent."""
    found = [form for form in forms_in(page.content.decode()) if "_save" in form.buttons]
    return found[0] if found else None


def all_data() -> dict[str, list[Any]]:
    """Every row of every table, without sessions, the admin's log, and what forms were sent."""
    return {
        model._meta.label_lower: sorted(map(str, model._base_manager.values_list()))
        for model in apps.get_models()
        if model._meta.label_lower not in _UNSEEN and model.__name__ != "Idempotency"
    }


def words(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def complaint(answer: Any) -> str:
    return " ".join(re.findall(r'class="errorlist[^>]*>(.*?)</ul>', answer.content.decode(), re.S))[:500]


# -- typing -----------------------------------------------------------------------------------------------------------


def other_values(form: Form, name: str) -> Iterator[Any]:
    """Values that the field could be changed to."""
    now, kind = form.fields.get(name), form.kinds[name]
    if kind == "checkbox":
        yield None if now else form.choices[name][0]
    elif kind == "select":
        yield from (choice for choice in form.choices[name] if choice not in ("", now))
    elif kind != "multiple":
        try:
            yield str(Decimal(str(now)) + 1)
        except ArithmeticError:
            yield TYPED.get(name, f"{now}x")
            yield f"{now}-x"
            yield f"x{now}"


def typed(form: Form, **values: Any) -> dict[str, Any]:
    return {name: value for name, value in (form.fields | values).items() if value is not None}


def saved(client: Client, url: str) -> Form:
    form = save_form(client.get(url))
    assert form is not None, url
    return form


def usable(client: Client, url: str, fields: int) -> dict[str, list[Any]]:
    """Two values that each of so many fields can have, found by trying."""
    found: dict[str, list[Any]] = {}
    form = saved(client, url)
    for name in list(form.visible()):
        values: list[Any] = []
        for _ in range(2):
            for value in other_values(form, name):
                if client.post(url, typed(form, **{name: value})).status_code == 302:
                    before, form = form, saved(client, url)
                    if form.fields.get(name) == value:
                        values.append(before.fields.get(name))
                        break
        if len(values) == 2:
            found[name] = values
        if len(found) == fields:
            break
    return found


# -- pages to change a row --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", writable())
def test_nobody_writes_over_what_somebody_else_changed(label: str, world: Shop, ann: Client, bob: Client) -> None:
    one = of(label)
    url = change_page(one)
    if url is None or save_form(ann.get(url)) is None:
        return
    fields = usable(ann, url, 2)
    assert fields, f"{url}: no field can be changed"
    first, last = list(fields)[0], list(fields)[-1]
    if label in NOT_YET:
        return
    for theirs, yours in ((first, last), (last, first), (first, first)):
        anns, bobs = saved(ann, url), saved(bob, url)
        to_ann = next(value for value in fields[theirs] if value != anns.fields.get(theirs))
        possible = [*fields[yours], *other_values(bobs, yours)]
        to_bob = next(value for value in possible if value not in (to_ann, bobs.fields.get(yours)))
        assert ann.post(url, typed(anns, **{theirs: to_ann})).status_code == 302
        told = bob.post(url, typed(bobs, **{yours: to_bob}))
        assert told.status_code == 200, f"{url}: {yours} was written over {theirs}"
        assert saved(ann, url).fields.get(theirs) == to_ann
        page = told.content.decode()
        assert "Somebody else has changed this meanwhile" in page, complaint(told)
        assert f'name="_take-{theirs}"' in page
        again = save_form(told)
        assert again is not None
        assert bob.post(url, typed(again)).status_code == 302
        now = saved(ann, url).fields
        assert now.get(yours) == to_bob
        assert theirs == yours or now.get(theirs) == to_ann


@pytest.mark.parametrize("label", writable())
def test_a_change_sent_twice_has_one_effect(label: str, world: Shop, ann: Client) -> None:
    one = of(label)
    url = change_page(one)
    if url is None or save_form(ann.get(url)) is None or label in NOT_YET:
        return
    name, values = next(iter(usable(ann, url, 1).items()))
    form = saved(ann, url)
    value = next(value for value in values if value != form.fields.get(name))
    twice(ann, url, typed(form, **{name: value}), one)


def twice(client: Client, url: str, data: dict[str, Any], one: Any) -> None:
    before = all_data()
    first = client.post(url, data)
    assert first.status_code == 302, (url, complaint(first))
    after = all_data()
    assert after != before, f"{url}: no effect"
    second = client.post(url, data)
    assert all_data() == after, f"{url}: two effects"
    if "idempotency" in apps.all_models[one.opts.app_label]:
        assert second.status_code == 302
        assert second["Location"] == first["Location"]
        assert "had been sent before" in words(second), url


@pytest.mark.parametrize("label", writable())
def test_a_row_added_twice_is_one_row(label: str, world: Shop, ann: Client) -> None:
    one = of(label)
    page = ann.get(page_of(one, "add"))
    form = save_form(page) if page.status_code == 200 else None
    if form is None or label in NOT_YET:
        return
    twice(ann, page_of(one, "add"), filled(form, world), one)


def filled(form: Form, world: Shop) -> dict[str, Any]:
    return typed(form, **{name: value for name in form.visible() if (value := entry(form, name, world)) is not None})


def entry(form: Form, name: str, world: Shop) -> Any:
    if name == "sku" and "product_id" in form.kinds:
        return ""  # one of the two says which
    if name in TYPED:
        return TYPED[name]
    if name == "product_id":
        return str(world.product_id)
    if form.kinds[name] == "select":
        return next((choice for choice in form.choices[name] if choice), None)
    if form.kinds[name] in ("checkbox", "radio", "multiple"):
        return form.fields.get(name)
    return {"number": "2", "email": TYPED["email"]}.get(form.kinds[name], "new")


# -- actions, and pages beside them -----------------------------------------------------------------------------------


def custom() -> Iterator[tuple[str, str]]:
    """``(label, name)`` of each action, and of each page that an admin has beside Django's own."""
    for one in admins():
        for pattern in one.get_urls():
            name = pattern.name or ""
            if name and not name.endswith(_OWN):
                yield one.opts.label_lower, name
        for action in one.actions or ():
            yield one.opts.label_lower, action if isinstance(action, str) else action.__name__


def opened(client: Client, label: str, name: str) -> tuple[str, Form] | None:
    """Where to send the form, and the form: of the page, of the action's own page, or of the list."""
    one = of(label)
    row = one.model._default_manager.filter(**FITS.get(name, {})).order_by("pk").last()
    listed = page_of(one, "changelist")
    if name in [action if isinstance(action, str) else action.__name__ for action in one.actions or ()]:
        [form] = [form for form in forms_in(client.get(listed).content.decode()) if "action" in form.kinds]
        assert row is not None, f"{label}: no row to try"
        chosen = typed(form, action=name, **{ACTION_CHECKBOX_NAME: str(row.pk)})
        asked = client.post(listed, chosen)
        if asked.status_code == 302:
            after = all_data()
            assert client.post(listed, chosen).status_code == 302
            assert all_data() == after, f"{label} {name}: two effects"
            return None
        url, page = listed, asked
    else:
        try:
            url = reverse(f"admin:{name}")
        except NoReverseMatch:
            url = reverse(f"admin:{name}", args=[row.pk])
        page = client.get(url)
    found = [form for form in forms_in(page.content.decode()) if form.method == "post" and list(form.visible())]
    if name in ASKED:  # it shows what it would do, and does that
        shown = client.post(url, found[0].fields | ASKED[name] | {"stage": "preview"})
        found = [form for form in forms_in(shown.content.decode()) if "stage" in form.buttons]
        return url, found[0]
    assert found or name not in FITS, f"{url}: no form"
    return (url, found[0]) if found else None


@pytest.mark.parametrize(("label", "name"), list(custom()))
def test_a_form_beside_them_has_one_effect_and_overwrites_nothing(
    label: str, name: str, world: Shop, ann: Client, bob: Client
) -> None:
    if f"{label} {name}" in NOT_YET:
        return
    anns = opened(ann, label, name)
    if anns is None:
        return  # an action at once, which was sent twice already
    url, form = anns
    assert "_form_key" in form.kinds, f"{url} {name}: no one-time key"
    bobs = opened(bob, label, name)
    assert bobs is not None
    button = {key: values[0] for key, values in form.buttons.items()}
    if name == "inventory_stock_document":  # a line of it was taken in before, and now it is booked
        button = {"do": "book", "line": f"{world.product_id} 3 0 0"}
    twice(ann, url, filled(form, world) | button, of(label))
    if f"{label} {name}" in ADDS_UP:
        return
    before = all_data()
    assert bob.post(url, filled(bobs[1], world) | button).status_code == 200, f"{name}: written over ann's"
    assert all_data() == before


def test_every_list_and_form_carries_its_key(world: Shop, ann: Client) -> None:
    for one in admins():
        for url in filter(None, [page_of(one, "changelist"), page_of(one, "add"), change_page(one)]):
            for form in forms_in(ann.get(url).content.decode()):
                if form.method == "post" and {"_save", "index", "action"} & {*form.buttons, *form.kinds}:
                    assert "_form_key" in form.kinds or f"{one.opts.label_lower} list" in NOT_YET, url


def test_the_list_of_what_is_left_names_what_there_is() -> None:
    known = {*names(), *(f"{label} {name}" for label, name in custom()), *(f"{label} list" for label in names())}
    assert known >= NOT_YET | ADDS_UP
