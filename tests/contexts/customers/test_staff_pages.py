from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

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
    services.add_address(customer_id=row["id"], line1="1 Main Street", city="Springfield", country="US")
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


def test_nobody_is_added_or_deleted_here(admin: Client, customer_id: int) -> None:
    assert admin.get("/admin/customers/customer/add/").status_code == 403
    assert admin.get(f"/admin/customers/customer/{customer_id}/delete/").status_code == 403
