"""One address, one account: the demo's is nobody's, locked accounts do not count, and a second is refused when made."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client

from config.staff import accounts, demo, groups
from config.staff.models import Trail
from tests.support.api import Api
from tests.support.pages import Browser, form_in

pytestmark = pytest.mark.usefixtures("closed")

GOOD = "a long enough secret"


def make(email: str, *, admin: bool = False) -> User:
    return accounts.make_account(
        email=email, password=GOOD, groups=("stock staff",), admin=admin, source="It", actor="command:root"
    )


@pytest.fixture(autouse=True)
def _groups() -> None:
    groups.make_groups()


def token(email: str) -> int:
    return Api().post("/v1/staff/token", {"email": email, "password": GOOD}).status


@pytest.fixture
def root() -> Client:
    browser = Browser()
    browser.force_login(make("root@shop.example", admin=True))
    return browser


@pytest.mark.parametrize("how", ["locked", "locked long ago", "never opened"])
def test_the_first_admin_may_have_the_demo_s_address(settings: Any, how: str) -> None:
    if how != "never opened":
        User.objects.create_superuser(demo.USERNAME, demo.ADDRESS, demo.PASSWORD)
    else:
        call_command("load_demo")
    if how == "locked long ago":
        accounts.lock_demo_login()
    settings.ECI_ADMIN_EMAIL, settings.ECI_ADMIN_PASSWORD = demo.ADDRESS, GOOD
    accounts.prepare()
    accounts.prepare()
    assert token(demo.ADDRESS) == 200
    assert User.objects.filter(email=demo.ADDRESS).count() == 1


def test_a_locked_account_of_the_address_does_not_count() -> None:
    for name, fields in (("left", {"is_active": False}), ("locked", {})):
        user = User.objects.create_user(name, "ann@shop.example", GOOD if fields else None, is_staff=True)
        User.objects.filter(pk=user.pk).update(**fields or {"is_staff": True})
    make("ann@shop.example")
    assert token("ann@shop.example") == 200


@pytest.mark.parametrize("again", ["ann@shop.example", "ANN@Shop.Example", "ann@ｓｈｏｐ.example"])
def test_a_command_makes_no_second_account(again: str) -> None:
    make("ann@shop.example")
    with pytest.raises(CommandError, match="already"):
        make(again)
    assert User.objects.count() == 1


def test_nor_does_the_environment(settings: Any) -> None:
    User.objects.create_user("ann", "ann@shop.example", GOOD, is_staff=True)
    settings.ECI_ADMIN_EMAIL, settings.ECI_ADMIN_PASSWORD = "Ann@shop.example", GOOD
    accounts.prepare()
    assert User.objects.count() == 1
    assert token("ann@shop.example") == 200


def test_a_locked_name_is_unlocked_and_not_made_again() -> None:
    User.objects.filter(pk=make("ann@shop.example").pk).update(is_active=False)
    with pytest.raises(CommandError, match="locked"):
        make("ann@shop.example")


class TestTheAdmin:
    def add(self, root: Client, **fields: str) -> Any:
        new = {"username": "ann", "email": "", "password1": GOOD, "password2": GOOD, "usable_password": "true"}
        return root.post("/admin/auth/user/add/", new | fields)

    @pytest.mark.parametrize("fields", [{"username": "ROOT@shop.example"}, {"email": "Root@shop.example"}])
    def test_makes_no_second_account(self, root: Client, fields: dict[str, str]) -> None:
        refused = self.add(root, **fields)
        assert refused.status_code == 200
        assert re.search(b"Another account has this address|A user with that username already exists", refused.content)
        assert User.objects.count() == 1

    def test_gives_no_name_that_looks_like_another(self, root: Client) -> None:
        ann = make("ann@shop.example")
        for name in ("r\u043e\u043et", "adm\u0131n@localhost", "root@\u0455hop", "a b"):
            assert re.search(b"A user name is an e-mail|not a valid e-mail", self.add(root, username=name).content), (
                name
            )
            refused = root.post(f"/admin/auth/user/{ann.pk}/change/", {"username": name, "email": ann.email})
            assert refused.status_code == 200
        assert self.add(root, username="till.2").status_code == 302
        assert {user.username for user in User.objects.all()} == {"root@shop.example", ann.username, "till.2"}

    def test_gives_nobody_another_s_address(self, root: Client) -> None:
        ann = make("ann@shop.example")
        edit = {"username": "ann@shop.example", "email": "root@shop.example", "is_active": "on", "is_staff": "on"}
        edit |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        refused = root.post(f"/admin/auth/user/{ann.pk}/change/", edit)
        assert b"Another account has this address" in refused.content
        done = root.post(f"/admin/auth/user/{ann.pk}/change/", edit | {"email": "ann@home.example"})
        assert done.status_code == 302
        assert token("ann@home.example") == token("ann@shop.example") == 200

    def test_unlocks_no_account_whose_address_is_another_s(self, root: Client) -> None:
        locked = User.objects.create_user("old", "root@shop.example", None, is_staff=True)
        new = {"password1": GOOD, "password2": GOOD, "usable_password": "true", "set-password": "1"}
        refused = root.post(f"/admin/auth/user/{locked.pk}/password/", new)
        assert b"Another account has this address" in refused.content
        assert token("root@shop.example") == 200

    @pytest.mark.parametrize("email", ['"<script>"@example.com', "kırk@shop.example", "ann@shop"])
    def test_takes_no_address_that_the_api_refuses(self, root: Client, email: str) -> None:
        assert self.add(root, email=email).status_code == 200
        assert User.objects.count() == 1

    def test_writes_back_nothing_that_was_not_changed(self, root: Client) -> None:
        ann = make("ann@shop.example")
        page = root.get(f"/admin/auth/user/{ann.pk}/change/")
        shown = dict(re.findall(r'name="(initial-[\w-]+|_version|_form_key)" value="([^"]*)"', page.content.decode()))
        shown |= dict(re.findall(r'name="(initial-\w+)" value="([^"]*)"', page.content.decode()))
        User.objects.filter(pk=ann.pk).update(is_active=False, last_name="Lee")
        ann.groups.clear()
        group = str(Group.objects.get(name="stock staff").pk)
        edit = {"username": ann.username, "email": ann.email, "first_name": "Ann", "is_active": "on", "is_staff": "on"}
        edit |= {"date_joined_0": ann.date_joined.date().isoformat(), "date_joined_1": f"{ann.date_joined:%H:%M:%S}"}
        edit |= {"groups": group}
        told = root.post(f"/admin/auth/user/{ann.pk}/change/", shown | edit)
        assert {one.name for one in told.context["differences"]} == {"first_name", "last_name", "is_active", "groups"}
        again = form_in(told.content.decode(), having="_version").fields
        assert root.post(f"/admin/auth/user/{ann.pk}/change/", again).status_code == 302
        ann = User.objects.get(pk=ann.pk)
        assert (ann.first_name, ann.last_name, ann.is_active, ann.groups.count()) == ("Ann", "Lee", False, 0)

    def test_leaves_a_trail_without_secrets(self, root: Client) -> None:
        assert self.add(root).status_code == 302
        ann = User.objects.get(username="ann")
        edit = {"username": "ann", "email": "ann@shop.example", "is_active": "on", "is_staff": "on"}
        edit |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        root.post(f"/admin/auth/user/{ann.pk}/change/", edit)
        password = {"password1": f"{GOOD}2", "password2": f"{GOOD}2", "usable_password": "true", "set-password": "1"}
        root.post(f"/admin/auth/user/{ann.pk}/password/", password)
        root.post(f"/admin/auth/user/{ann.pk}/delete/", {"post": "yes"})
        lines = Trail.objects.filter(thing=f"account:{ann.pk}").order_by("pk")
        assert [(line.actor, line.action) for line in lines] == [
            ("staff:root@shop.example", f"account {what}") for what in ("created", "changed", "password set", "deleted")
        ]
        assert lines[1].before == {"email": "", "is_staff": False}
        assert lines[1].after == {"email": "ann@shop.example", "is_staff": True}
        assert "argon" not in str([(line.before, line.after) for line in lines])
        assert Trail.objects.get(actor="command:root").action == "account created"

    def test_so_do_groups(self, root: Client) -> None:
        accounts.prepare()
        group = Group.objects.get(name="stock staff")
        root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "stock staff", "permissions": []})
        line = Trail.objects.get(thing=f"group:{group.pk}")
        assert "inventory.view_stock" in line.before["permissions"]
        assert (line.action, line.after) == ("group changed", {"permissions": []})
