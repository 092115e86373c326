"""A form that cannot be saved, because its person is not who opened its page any more: told, and never lost unsaid."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

pytestmark = pytest.mark.django_db(databases="__all__")
IN_BROWSER = {"Accept": "text/html"}


@pytest.fixture
def boss() -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


def test_a_form_of_an_earlier_sign_in_is_told_on_a_page_of_ours(boss: Client) -> None:
    page = boss.post("/admin/catalog/product/add/", {"sku": "X"}, headers=IN_BROWSER)
    assert page.status_code == 403
    told = page.content.decode()
    assert "nothing was saved" in told
    assert "Back" in told
    assert "<style" not in told  # which our policy would not let through
    answer = boss.post("/admin/catalog/product/add/", {"sku": "X"})
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_whoever_is_not_signed_in_any_more_is_told_that_the_form_was_not_saved() -> None:
    for path in ("/admin/catalog/product/add/", "/staff/pack", "/staff/reconcile", "/staff/reconcile/orders"):
        page = Client().post(path, {"sku": "X"}, headers=IN_BROWSER)
        assert page.status_code == 403, path
        assert "nothing was saved" in page.content.decode(), path
    assert Client().get("/staff/pack").headers["Location"] == "/admin/login/?next=/staff/pack"
    assert Client().post("/admin/logout/").status_code == 302
