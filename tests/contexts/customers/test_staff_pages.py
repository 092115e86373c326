"""Staff's pages of customers: changes go through the same rules, and deleting means erasing."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from config.staff.accounts import make_groups
from contexts.customers import services
from contexts.customers.models import Customer


@pytest.fixture
def admin() -> Client:
    client = Client()
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
    assert (bob.email, bob.email_key, bob.full_name, bob.password) == (
        "B@example.com",
        "b@example.com",
        "Bob B",
        "argon2$hash",
    )


def test_nobody_is_added_here(admin: Client) -> None:
    assert admin.get("/admin/customers/customer/add/").status_code == 403


def test_to_delete_somebody_is_to_erase_them(admin: Client, customer_id: int) -> None:
    page = f"/admin/customers/customer/{customer_id}/"
    assert b"Are you sure" in admin.get(f"{page}delete/").content
    assert admin.post(f"{page}delete/", {"post": "yes"}).status_code == 302
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


def test_support_staff_may_and_stock_staff_may_not(customer_id: int) -> None:
    make_groups()
    answers = []
    for name in ("stock staff", "support staff"):
        user = get_user_model().objects.create_user(name, password="secret-123", is_staff=True)
        user.groups.add(Group.objects.get(name=name))
        client = Client()
        client.force_login(user)
        answers.append(client.post(f"/admin/customers/customer/{customer_id}/delete/", {"post": "yes"}).status_code)
    assert answers == [403, 302]
