"""Staff's pages of customers: changes go through the same rules, and deleting means erasing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from config.staff.accounts import make_groups
from contexts.customers import services
from contexts.customers.models import Customer, Trail
from eci import trail
from tests.support.pages import Browser, Form, form_in


@pytest.fixture
def admin() -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


@pytest.fixture
def customer_id() -> int:
    row = services.register_customer(email="Bob@example.com", full_name="Bob", password_hash="argon2$hash")
    services.add_address(customer_id=row["id"], actor="test", line1="1 Main Street", city="Springfield", country="US")
    return int(row["id"])


INLINE = {"addresses-TOTAL_FORMS": "0", "addresses-INITIAL_FORMS": "0"}


def test_searchable_and_the_password_is_never_shown(admin: Client, customer_id: int) -> None:
    found = admin.get("/admin/customers/customer/?q=bob@")
    page = admin.get(f"/admin/customers/customer/{customer_id}/change/")
    assert b"Bob@example.com" in found.content
    assert b"1 Main Street" in page.content
    assert b"argon2" not in found.content + page.content


def test_changes_keep_addresses_unique(admin: Client, customer_id: int) -> None:
    services.register_customer(email="eve@example.com", full_name="Eve", password_hash="")
    page = f"/admin/customers/customer/{customer_id}/change/"
    taken = admin.post(page, {"email": "EVE@example.com", "full_name": "Bob", "phone": ""} | INLINE)
    assert (taken.status_code, b"Another customer" in taken.content) == (200, True)
    assert admin.post(page, {"email": "b@example.com", "full_name": "Bob B", "phone": "x"} | INLINE).status_code == 200
    assert admin.post(page, {"email": "B@example.com", "full_name": "Bob B", "phone": ""} | INLINE).status_code == 302
    bob = Customer.objects.get(pk=customer_id)
    assert (bob.email, bob.new_email, bob.full_name, bob.password) == (
        "Bob@example.com",
        "B@example.com",
        "Bob B",
        "argon2$hash",
    )
    assert b"B@example.com" in admin.get(page).content, "what is to come is shown"


def test_nobody_is_added_here(admin: Client) -> None:
    assert admin.get("/admin/customers/customer/add/").status_code == 403


def test_to_delete_somebody_is_to_erase_them(admin: Client, customer_id: int) -> None:
    page = f"/admin/customers/customer/{customer_id}/"
    assert b"Their orders stay" in admin.get(f"{page}delete/").content
    for damage in ({"_form_key": ""}, {"_version": ""}, {"_version": "99"}):
        assert admin.post(f"{page}delete/", {"post": "yes"} | damage)["Location"] == f"{page}delete/", damage
    assert admin.post(f"{page}delete/", {"post": "yes"})["Location"] == "/admin/customers/customer/"
    bob = Customer.objects.get(pk=customer_id)
    assert (bob.email, bob.full_name, bob.erased_at is None, bob.addresses.count()) == ("", "", False, 0)
    assert "Bob" not in str(LogEntry.objects.values())
    assert admin.post(f"{page}delete/", {"post": "yes"}).status_code == 403, "once"
    assert admin.post(f"{page}change/", {"email": "b@example.com", "full_name": "Bob"} | INLINE).status_code == 403


def test_several_are_erased_at_once(admin: Client, customer_id: int) -> None:
    eve = services.register_customer(email="eve@example.com", full_name="Eve", password_hash="")["id"]
    chosen = {"action": "delete_selected", "_selected_action": [customer_id, eve], "post": "yes"}
    assert admin.post("/admin/customers/customer/", chosen).status_code == 302
    assert list(Customer.objects.values_list("email", flat=True)) == ["", ""]
    assert admin.post("/admin/customers/customer/", chosen).status_code == 403, "once"


@pytest.mark.any_engine
def test_support_staff_may_and_stock_staff_may_not(customer_id: int) -> None:
    make_groups()
    answers = []
    for name in ("stock staff", "support staff"):
        user = get_user_model().objects.create_user(name, password="secret-123", is_staff=True)
        user.groups.add(Group.objects.get(name=name))
        client = Browser()
        client.force_login(user)
        answers.append(client.post(f"/admin/customers/customer/{customer_id}/delete/", {"post": "yes"}).status_code)
    assert answers == [403, 302]


def page_of(customer_id: int) -> str:
    return f"/admin/customers/customer/{customer_id}/change/"


def opened(client: Client, url: str) -> Form:
    return form_in(client.get(url).content.decode(), having="_form_key")


def test_who_was_just_blocked_is_not_unblocked_by_a_late_form(admin: Client, api: Any, customer_id: int) -> None:
    url = page_of(customer_id)
    shown = opened(admin, url)
    assert api.patch(f"/v1/customers/{customer_id}", {"is_blocked": True}).status == 200
    told = admin.post(url, shown.fields | {"full_name": "Bobby"})
    assert (told.status_code, b"Somebody else has changed this meanwhile" in told.content) == (200, True)
    again = form_in(told.content.decode(), having="_form_key")
    assert admin.post(url, again.fields).status_code == 302
    bob = Customer.objects.get()
    assert (bob.full_name, bob.blocked_at is None) == ("Bobby", False)


EMAILS = [
    "a@EX\u00c4MPLE.de",
    "a@exa\u0308mple.de",
    "\uff41@example.com",
    "a@\uff45xample.com",
    "k\u0131rk@example.com",
]
EMAILS += [
    "\u017fam@example.com",
    '"<script>"@example.com',
    " a@example.com\u00a0",
    "a@b",
    "a@stra\u00dfe.de",
    "a\n@b.de",
]
PHONES = [
    "+1 (555) 010-0100 ext. 12",
    "0711/12345",
    "1234",
    "555.0100.22",
    "call me",
    " 12345 ",
    "1\u066112345",
    "1" * 21,
]
NAMES = ["Zoe\u0308", "  Ann ", "a\nb", "\u200b", "x" * 500, "x" * 501, "a\x7fb"]


@pytest.mark.any_engine
@pytest.mark.parametrize(
    ("field", "given"),
    [("email", text) for text in EMAILS]
    + [("phone", text) for text in PHONES]
    + [("full_name", text) for text in NAMES],
)
def test_fields_are_the_apis(admin: Client, api: Any, customer_id: int, field: str, given: str) -> None:
    other = services.register_customer(email="eve@example.com", full_name="Eve", password_hash="")["id"]
    answered = api.patch(f"/v1/customers/{other}", {field: given})
    column = "new_email" if field == "email" else field
    by_api = Customer.objects.filter(pk=other).values_list(column, "name_key").get()
    Customer.objects.filter(pk=other).update(email="", email_key="gone", name_key="bob")
    url = page_of(customer_id)
    answer = admin.post(url, opened(admin, url).fields | {field: given})
    by_page = Customer.objects.filter(pk=customer_id).values_list(column, "name_key").get()
    assert (answer.status_code == 302) == (answered.status == 200)
    if answered.status == 200:
        assert by_page[0] == by_api[0]
        assert field != "full_name" or by_page == by_api


def test_one_mailbox_is_one_account_here_too(admin: Client, customer_id: int) -> None:
    services.register_customer(email="eve@xn--exmple-cua.de", full_name="Eve", password_hash="")
    url = page_of(customer_id)
    taken = admin.post(url, opened(admin, url).fields | {"email": "EVE@ex\u00e4mple.de"})
    assert (taken.status_code, b"Another customer" in taken.content) == (200, True)


def test_a_search_folds_letters(admin: Client) -> None:
    services.register_customer(email="m@xn--exmple-cua.de", full_name="J\u00f6rg M\u00fcller", password_hash="")
    for term in ("M\u00dcLLER", "mu\u0308ller j\u00d6rg", "M@EX\u00c4MPLE.de"):
        assert b"m@xn--exmple-cua.de" in admin.get("/admin/customers/customer/", {"q": term}).content, term
    assert b"m@xn--exmple-cua.de" not in admin.get("/admin/customers/customer/", {"q": "Maller"}).content


def test_who_changed_a_person_stands_in_the_trail_until_they_are_erased(
    admin: Client, api: Any, customer_id: int
) -> None:
    url = page_of(customer_id)
    admin.post(url, opened(admin, url).fields | {"email": "b@example.com"})
    api.patch(f"/v1/customers/{customer_id}", {"is_blocked": True})
    address = api.post(f"/v1/customers/{customer_id}/addresses", {"line1": "2 Way", "city": "x", "country": "US"}).data
    api.patch(f"/v1/customers/{customer_id}/addresses/{address['address_id']}", {"line1": "3 Way"})
    api.delete(f"/v1/customers/{customer_id}/addresses/{address['address_id']}")
    lines = list(Trail.objects.order_by("pk").values_list("actor", "action", "thing"))
    actions = ["changed", "address added", "address changed", "address removed"]
    assert lines == [
        ("staff:ann", "changed", f"customer:{customer_id}"),
        *(("open", action, f"customer:{customer_id}") for action in actions),
    ]
    changed = Trail.objects.order_by("pk")[0]
    assert (changed.before, changed.after) == ({"new_email": ""}, {"new_email": "b@example.com"})
    admin.post(f"/admin/customers/customer/{customer_id}/delete/", {"post": "yes"})
    assert Trail.objects.values_list("actor", "action").latest("pk") == ("staff:ann", "erased")
    assert [line.after for line in Trail.objects.order_by("pk")] == [trail.ERASED] * 5 + [{}]


def test_what_customers_do_themselves_is_not_in_the_trail(customer_id: int) -> None:
    services.update_customer(customer_id=customer_id, actor=f"customer:{customer_id}", full_name="Bobby")
    assert not Trail.objects.exists()
