"""Staff may call what their groups allow; without credentials only open mode lets callers in."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from contexts.catalog.models import PriceChange
from eci.identity.auth import NOBODY, OPEN, Caller
from eci.identity.roles import EVERYBODY, Role, only

pytestmark = pytest.mark.any_engine

LAMP = {"sku": "LAMP", "name": "Lamp", "price": "99.99"}


@pytest.fixture(autouse=True)
def _closed(settings: Any) -> None:
    settings.ECI_OPEN = False


def signed_in(*groups: str, csrf: bool = False, **user: Any) -> Client:
    member = User.objects.create(**{"username": "ann", "is_staff": True, **user})
    for name in groups:
        member.groups.add(Group.objects.get_or_create(name=name)[0])
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(member)
    return client


def post(client: Client, url: str, body: dict[str, Any]) -> tuple[int, str | None]:
    answer = client.post(url, body, content_type="application/json")
    return answer.status_code, answer.json().get("code")


CALLS = {
    "K": ("/v1/products", LAMP, 201),
    "S": ("/v1/warehouses", {"code": "W", "name": "W"}, 200),
    "P": ("/v1/customers/1/addresses", {}, 400),
}


@pytest.mark.parametrize(
    ("group", "role"), [("catalog staff", "K"), ("stock staff", "S"), ("support staff", "P"), ("another group", "")]
)
def test_a_group_opens_its_own_calls_only(group: str, role: str) -> None:
    client = signed_in(group)
    for letter, (url, body, expected) in CALLS.items():
        assert post(client, url, body) == (
            (expected, "validation_error" if expected == 400 else None)
            if letter == role
            else (403, "permission_denied")
        )


def test_groups_add_up() -> None:
    client = signed_in("catalog staff", "stock staff")
    assert [post(client, *CALLS[letter][:2])[0] for letter in "KSP"] == [201, 200, 403]


def test_a_superuser_may_everything() -> None:
    client = signed_in(is_superuser=True)
    assert [post(client, *CALLS[letter][:2])[0] for letter in "KSP"] == [201, 200, 400]


def test_the_actor_is_recorded() -> None:
    post(signed_in("catalog staff"), "/v1/products", LAMP)
    assert PriceChange.objects.get().actor == "staff:ann"


@pytest.mark.parametrize("user", [{"is_staff": False}, {"is_staff": False, "is_superuser": True}, {"is_active": False}])
def test_who_is_no_active_staff_is_nobody(user: dict[str, Any]) -> None:
    client = signed_in("catalog staff", **user)
    assert post(client, "/v1/products", LAMP) == (401, "not_authenticated")
    assert client.get("/v1/products").status_code == 200


def test_a_session_needs_its_csrf_token() -> None:
    client = signed_in("catalog staff", csrf=True)
    assert post(client, "/v1/products", LAMP) == (403, "permission_denied")
    assert client.get("/v1/products").status_code == 200


def test_no_database_is_asked_about_who_sends_no_credentials(statements: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):  # on the platform database
        assert Client().get("/v1/products").status_code == 200
        assert Client().post("/v1/products", LAMP, content_type="application/json").status_code == 401


def test_inactive_products_are_shown_to_staff_only(settings: Any) -> None:
    staff = signed_in("catalog staff")
    post(staff, "/v1/products", LAMP | {"is_active": False})
    assert [len(client.get("/v1/products").json()["data"]) for client in (staff, Client())] == [1, 0]


def test_open_mode_lets_in_who_sends_no_credentials(settings: Any) -> None:
    settings.ECI_OPEN = True
    assert post(Client(), "/v1/products", LAMP) == (201, None)
    forged = Client(headers={"Authorization": "Bearer forged"})
    assert post(forged, "/v1/products", LAMP | {"sku": "B"}) == (401, "not_authenticated")


def test_staff_stays_itself_in_open_mode(settings: Any) -> None:
    settings.ECI_OPEN = True
    post(signed_in("catalog staff"), "/v1/products", LAMP)
    assert PriceChange.objects.get().actor == "staff:ann"


@pytest.mark.no_database
def test_a_role_opens_itself_and_nothing_else() -> None:
    def may(role: Role, *allowed: Role) -> bool:
        return Caller(name="x", roles=only(role)).may(only(*allowed))

    for role in EVERYBODY:
        assert [allowed for allowed in EVERYBODY if may(role, allowed)] == [role]
        assert not may(role)
        assert may(Role.ADMIN, role)
    assert (NOBODY.may(EVERYBODY), NOBODY.may(EVERYBODY - {Role.ANONYMOUS}), OPEN.may(only(Role.CATALOG))) == (
        True,
        False,
        True,
    )
    assert (NOBODY.is_staff, OPEN.is_staff, Caller(name="c", roles=only(Role.CUSTOMER)).is_staff) == (
        False,
        True,
        False,
    )
