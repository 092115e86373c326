"""Staff accounts: made by command or from the environment, never with a default password."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client

from config.staff import accounts, demo
from eci.identity.roles import GROUPS
from tests.support.api import Api

pytestmark = pytest.mark.usefixtures("closed")

GOOD = "a long enough secret"


@pytest.fixture
def first_admin(settings: Any) -> Any:
    settings.ECI_ADMIN_EMAIL = "root@shop.example"
    settings.ECI_ADMIN_PASSWORD = GOOD
    return settings


def token(email: str, password: str) -> int:
    return Api().post("/v1/staff/token", {"email": email, "password": password}).status


def test_the_first_admin_comes_from_the_environment(first_admin: Any) -> None:
    accounts.prepare()
    admin = User.objects.get()
    assert (admin.email, admin.is_staff, admin.is_superuser) == ("root@shop.example", True, True)
    assert token("root@shop.example", GOOD) == 200
    assert Client().login(username="root@shop.example", password=GOOD)


def test_the_environment_does_not_set_the_password_back(first_admin: Any) -> None:
    accounts.prepare()
    first_admin.ECI_ADMIN_PASSWORD = "quite another secret"
    accounts.prepare()
    assert token("root@shop.example", GOOD) == 200


@pytest.mark.parametrize("weak", ["admin", "password123", "12345678901", "root@shop.example", "short"])
def test_a_weak_one_is_refused_in_one_sentence(first_admin: Any, weak: str) -> None:
    first_admin.ECI_ADMIN_PASSWORD = weak
    with pytest.raises(CommandError, match=r"\AECI_ADMIN_PASSWORD is too weak: [^\n]+\.\Z"):
        accounts.prepare()
    assert not User.objects.exists()


@pytest.mark.parametrize("missing", ["ECI_ADMIN_EMAIL", "ECI_ADMIN_PASSWORD"])
def test_both_or_neither(first_admin: Any, missing: str) -> None:
    setattr(first_admin, missing, "")
    with pytest.raises(CommandError, match="belong together"):
        accounts.prepare()


def test_the_groups_are_roles_and_see_their_pages() -> None:
    accounts.prepare()
    accounts.prepare()
    assert set(Group.objects.values_list("name", flat=True)) == set(GROUPS)
    client = Client()
    client.force_login(_staff("catalog staff"))
    pages = [client.get(f"/admin/{page}/").status_code for page in ("catalog/product", "customers/customer")]
    assert pages == [200, 403]


def _staff(group: str) -> User:
    return accounts.make_account(
        email="s@shop.example", password=GOOD, groups=(group,), admin=False, source="It", actor="system"
    )


def test_a_command_makes_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*arguments: str, password: str = GOOD) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
        call_command("create_staff", *arguments, stdout=io.StringIO())

    create("sam@shop.example", "--group", "stock staff", "--group", "support staff")
    answer = Api().post("/v1/staff/token", {"email": "sam@shop.example", "password": GOOD})
    assert answer.data["roles"] == ["P", "S"]
    for arguments, password, message in (
        (("sam@shop.example", "--admin"), GOOD, "already"),
        (("ann@shop.example",), GOOD, "what the account is for"),
        (("ann@shop.example", "--admin"), "password", "too weak"),
        (("nobody", "--admin"), GOOD, "not an e-mail address"),
    ):
        with pytest.raises(CommandError, match=message):
            create(*arguments, password=password)


def test_the_demo_s_login_opens_nothing_in_a_closed_shop(settings: Any) -> None:
    settings.ECI_OPEN = True
    call_command("load_demo")
    assert Client().login(username=demo.USERNAME, password=demo.PASSWORD)
    signed_in = Client()
    signed_in.login(username=demo.USERNAME, password=demo.PASSWORD)
    settings.ECI_OPEN = False
    accounts.prepare()
    assert not Client().login(username=demo.USERNAME, password=demo.PASSWORD)
    assert signed_in.get("/admin/").status_code == 302, "nor does the session of before"
    assert token(demo.ADDRESS, demo.PASSWORD) == token(demo.USERNAME, demo.PASSWORD) == 401


def test_a_closed_shop_has_the_same_demo_without_a_login(settings: Any) -> None:
    call_command("load_demo")
    assert len(Api().get("/v1/products").data) == 20
    assert token(demo.ADDRESS, demo.PASSWORD) == 401
    settings.ECI_OPEN = True
    call_command("load_demo")
    assert Client().login(username=demo.USERNAME, password=demo.PASSWORD)
