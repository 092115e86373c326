"""A closed shop without an administrator makes one, with a password that only the machine's owner can read."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from config.staff import accounts, demo
from tests.support.api import Api

pytestmark = pytest.mark.usefixtures("closed")


def test_an_administrator_with_a_password_made_by_chance(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    accounts.make_one_time_admin(file)
    password = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    answer = Api().post("/v1/staff/token", {"email": accounts.ONE_TIME_ADMIN, "password": password})
    assert (answer.status, answer.data["roles"]) == (200, ["admin"])
    accounts.make_one_time_admin(file)
    assert file.read_text().strip() == password, "made once"


def test_whoever_signs_in_with_it_is_asked_for_another_and_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    file = tmp_path / accounts.ONE_TIME_PASSWORD
    accounts.make_one_time_admin(file)
    first, mine = file.read_text().strip(), "a password of my own"
    browser = Client()
    signed_in = browser.post("/admin/login/", {"username": accounts.ONE_TIME_ADMIN, "password": first})
    assert signed_in.headers["Location"] == "/admin/password_change/"
    refused = {"old_password": first, "new_password1": "12345678", "new_password2": "12345678"}
    assert browser.post("/admin/password_change/", refused).status_code == 200
    assert file.exists()
    browser.post("/admin/password_change/", {"old_password": first, "new_password1": mine, "new_password2": mine})
    assert not file.exists()
    again = Client().post("/admin/login/", {"username": accounts.ONE_TIME_ADMIN, "password": mine})
    assert again.headers["Location"] != "/admin/password_change/"


def test_none_where_somebody_administers_it(tmp_path: Path) -> None:
    accounts.make_account(
        email="a@shop.example", password="a long enough one", groups=(), admin=True, source="It", actor="system"
    )
    accounts.make_one_time_admin(tmp_path / "admin_password")
    assert not (tmp_path / "admin_password").exists()


def test_the_demo_s_locked_login_is_nobody(tmp_path: Path) -> None:
    User.objects.create_superuser(demo.USERNAME, demo.ADDRESS, demo.PASSWORD)
    accounts.lock_demo_login()
    accounts.make_one_time_admin(tmp_path / "admin_password")
    assert (tmp_path / "admin_password").exists()


def test_a_file_left_from_a_start_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    file.write_text("half")
    accounts.make_one_time_admin(file)
    assert len(file.read_text().strip()) == 24
