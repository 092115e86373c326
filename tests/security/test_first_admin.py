"""A closed shop without an administrator makes one, with a password that only the machine's owner can read."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth.models import User

from config.staff import accounts, demo
from tests.conftest import Api


def test_an_administrator_with_a_password_made_by_chance(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    accounts.make_one_time_admin(file)
    password = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    answer = Api().post("/v1/staff/token", {"email": accounts.ONE_TIME_ADMIN, "password": password})
    assert (answer.status, answer.data["roles"]) == (200, ["admin"])
    accounts.make_one_time_admin(file)
    assert file.read_text().strip() == password, "made once"


def test_none_where_somebody_administers_it(tmp_path: Path) -> None:
    accounts.make_account(email="a@shop.example", password="a long enough one", groups=(), admin=True, source="It")
    accounts.make_one_time_admin(tmp_path / "admin_password")
    assert not (tmp_path / "admin_password").exists()


def test_the_demo_s_locked_login_is_nobody(tmp_path: Path) -> None:
    User.objects.create_superuser(demo.USERNAME, demo.EMAIL, demo.PASSWORD)
    accounts.lock_demo_login()
    accounts.make_one_time_admin(tmp_path / "admin_password")
    assert (tmp_path / "admin_password").exists()


def test_a_file_left_from_a_start_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "admin_password"
    file.write_text("half")
    accounts.make_one_time_admin(file)
    assert len(file.read_text().strip()) == 24
