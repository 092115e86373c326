"""Every route of the URL map, called by every role, against the table of docs/security.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from tests.support.api import Answer
from tests.support.people import Person, customer, staff
from tests.support.policy import ROLES, served, table

pytestmark = [pytest.mark.any_engine, pytest.mark.usefixtures("closed")]

TABLE = table()
ENDS_LOGINS = {("POST", "/v1/users/sessions/revoke"), ("DELETE", "/v1/users/me")}
UNKNOWN = {"context": "orders", "provider": "nobody"}


def example(path: str) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda name: UNKNOWN.get(name[1], "999999"), path)


def call(person: Person, method: str, path: str) -> int:
    """The status. Every id is unknown and every body empty, so nothing is changed but one's own logins."""
    body = None if method == "GET" else b"{}"
    headers = {"Authorization": f"Bearer {person.login['access']}"} if person.login else {}
    response = person.client.generic(method, example(path), body or b"", "application/json", headers=headers)
    return int(response.status_code)


@pytest.mark.no_database
def test_the_table_has_every_route_that_is_served_and_no_other() -> None:
    assert served() - set(TABLE) == set(), "served, but nobody has said to whom"
    assert set(TABLE) - served() == set(), "in the table, but not served"


@pytest.mark.no_database
def test_the_table_says_only_what_it_may() -> None:
    for what, row in TABLE.items():
        assert set(row.values()) in ({"page"}, {"process"}, set(row.values()) & {"yes", "own", "-"}), what
        assert row["admin"] in ("yes", "page", "process"), f"{what}: an admin may everything"
        assert "own" not in [row[role] for role in ROLES if role != "C"], (
            f"{what}: only a customer has things of theirs"
        )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_let_in_where_the_table_says_so_and_nowhere_else(role: str) -> None:
    person = Person() if role == "A" else customer("c@example.com") if role == "C" else staff(role)
    refusal = 401 if role == "A" else 403
    wrong = {}
    for (method, path), row in sorted(TABLE.items()):
        who = person
        if role == "C" and (method, path) in ENDS_LOGINS:
            who = customer(f"{method}.{path.rpartition('/')[2]}@example.com")
        status = call(who, method, path)
        refused = {"-": status == refusal, "page": status == 302, "process": status == 401}
        expected = refused.get(row[role], status not in (302, 401, 403))
        if not expected or status >= 500:
            wrong[f"{method} {path}"] = (row[role], status)
    assert wrong == {}


def test_the_gateway_s_copies_have_the_same_roles(settings: Any) -> None:
    stock = staff("S")
    for person, status in ((Person(), 401), (customer("c@example.com"), 403), (stock, 200)):
        assert call(person, "GET", "/api/v1/inventory/v1/warehouses") == status


def admin_pages() -> list[str]:
    """Its front page, and the list of every model in it."""
    lists = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in site._registry]
    assert lists
    return ["admin:index", *lists]


def test_no_token_opens_a_page_of_the_admin() -> None:
    access = staff("admin").login["access"]
    beside = [re.sub(r"\{\w+\}", "7", path) for (_, path), row in TABLE.items() if row["admin"] == "page"]
    for path in [*(reverse(name) for name in admin_pages()), *beside]:
        page = Client().get(path, headers={"Authorization": f"Bearer {access}"})
        assert (page.status_code, "/admin/login/" in page.headers["Location"]) == (302, True), path
        page = Client().post(path, headers={"Authorization": f"Bearer {access}"})
        assert page.status_code == 403, path
        assert b"nothing was saved" in page.content, path


def test_roles_are_those_of_the_groups_now() -> None:
    person = staff("K")
    assert person.get("/v1/warehouses").status == 403
    User.objects.get(username="k@shop.example").groups.set([Group.objects.create(name="stock staff")])
    assert person.get("/v1/warehouses").status == 200
    assert person.post("/v1/products", {}).status == 403


def test_without_credentials_the_answer_says_how_to_bring_some() -> None:
    answer: Answer = Person().get("/v1/orders")
    assert (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, "not_authenticated", "Bearer")
