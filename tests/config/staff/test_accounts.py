"""Staff accounts: made by command or from the environment, never with a default password."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
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


@pytest.mark.any_engine
@pytest.mark.parametrize("weak", ["admin", "password123", "12345678901", "root@shop.example", "short"])
def test_a_weak_one_is_refused_in_one_sentence(first_admin: Any, weak: str) -> None:
    first_admin.ECI_ADMIN_PASSWORD = weak
    with pytest.raises(CommandError, match=r"\AECI_ADMIN_PASSWORD is too weak: [^\n]+\.\Z"):
        accounts.prepare()
    assert not User.objects.exists()


@pytest.mark.any_engine
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


@pytest.mark.any_engine
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


BLANK = {
    "spaces": " " * 12,
    "tabs": "\t" * 12,
    "no-break spaces": "\u00a0" * 12,
    "what is invisible": "\u200b\u2060" * 6,
}
WEAK = {
    **BLANK,
    "a letter and blanks": "x" + " " * 11,
    "one character": "\u00e9" * 12,
    "two": "xX xX xX xX xX",
    "digits between blanks": "1234 5678 9012",
    "a common one between blanks": " pass word ",
    "the name without its space": "LiWu1234",
    "the name and a date": "wu.li-19840512",
    "the name with accents": "L\u00edW\u00fa#1234",
    "the address again and again": "sp5sp5sp5",
}


@pytest.mark.parametrize("what", WEAK)
def test_both_doors_refuse_the_same_passwords(what: str) -> None:
    person = {"email": "sp5@shop.example", "full_name": "Li Wu", "password": WEAK[what]}
    answer = Api().post("/v1/users/register", person)
    assert (answer.status, answer.code) == (400, "validation_error")
    assert "password" in answer.json["error"]
    with pytest.raises(ValidationError):
        validate_password(WEAK[what], User(username="sp5@shop.example", first_name="Li", last_name="Wu"))


@pytest.mark.parametrize("good", ["correct horse battery", "Li said: k7-blue", "пароль и лошадь", "!?#$ %&/( )=+*"])
def test_others_are_taken(good: str) -> None:
    person = {"email": "sp5@shop.example", "full_name": "Li Wu", "password": good}
    assert Api().post("/v1/users/register", person).status in (200, 201)


def test_a_machine_is_in_no_other_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for more in (["--group", "stock staff"], ["--admin"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{GOOD}\n"))
        with pytest.raises(CommandError, match="Make two accounts"):
            call_command("create_staff", "erp@shop.example", "--group", "services", *more)
    assert not User.objects.exists()


def test_a_refused_way_on_leads_to_the_admin(first_admin: Any) -> None:
    accounts.prepare()
    form = {"username": "root@shop.example", "password": GOOD, "next": "https://evil.example/"}
    assert Client().post("/admin/login/", form).headers["Location"] == "/admin/"
