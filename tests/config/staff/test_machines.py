"""Accounts of machines have tokens, and nothing else: no session of the admin, and no look at staff's pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from config.staff.groups import make_groups
from tests.support.api import Api
from tests.support.people import PASSWORD, staff

pytestmark = pytest.mark.usefixtures("closed")

PAGES = ("/admin/", "/staff/reconcile", "/admin/password_change/")


def sign_in(name: str, client: Client) -> int:
    return client.post("/admin/login/", {"username": name, "password": PASSWORD, "next": "/admin/"}).status_code


def test_a_machine_has_a_token_and_no_session() -> None:
    erp = staff("V", "erp@shop.example")
    assert erp.get("/v1/orders").status == 200
    browser = Client()
    assert sign_in("erp@shop.example", browser) == 200, "the form again"
    browser.force_login(User.objects.get(username="erp@shop.example"))
    assert [browser.get(page).status_code for page in PAGES] == [302, 302, 302]
    assert browser.get("/v1/orders").status_code == 401, "nor at the API's pages"


def test_who_becomes_a_machine_loses_the_session_at_once() -> None:
    make_groups()
    staff("P", "ann@shop.example")
    ann = Client()
    assert sign_in("ann@shop.example", ann) == 302
    assert [ann.get(page).status_code for page in PAGES] == [200, 200, 200]
    User.objects.get(username="ann@shop.example").groups.add(Group.objects.get_or_create(name="services")[0])
    assert [ann.get(page).status_code for page in PAGES] == [302, 302, 302]


def test_an_administrator_is_a_person_in_whatever_group() -> None:
    staff("admin", "root@shop.example")
    User.objects.get().groups.add(Group.objects.get_or_create(name="services")[0])
    browser = Client()
    assert sign_in("root@shop.example", browser) == 302
    assert browser.get("/admin/").status_code == 200
    assert Api().post("/v1/staff/token", {"email": "root@shop.example", "password": PASSWORD}).status == 200
