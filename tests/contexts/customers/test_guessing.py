"""Limits for wrong passwords, at the API's logins and at the admin's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.api import Answer, Api
from tests.support.people import PASSWORD, Person, customer, register

pytestmark = pytest.mark.usefixtures("own_counters")

ELSEWHERE = {"X-Forwarded-For": "6.6.6.6"}


@pytest.fixture(autouse=True)
def _keys(settings: Any, tmp_path: Path) -> None:
    settings.ECI_KEYS_DIR = tmp_path
    settings.ECI_TRUSTED_PROXIES = ["127.0.0.1"]


def log_in(email: str, password: str, url: str = "/v1/users/login", **headers: str) -> Answer:
    return Api().post(url, {"email": email, "password": password}, **headers)


def test_after_ten_wrong_passwords_the_eleventh_is_not_looked_at_and_the_owner_elsewhere_gets_in() -> None:
    register("ann@example.com")
    answers = [log_in("Ann@example.com", "wrong") for _ in range(12)]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].code == "throttled"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 901
    assert log_in("ann@example.com", PASSWORD).status == 429
    assert log_in("ann@example.com", PASSWORD, **ELSEWHERE).status == 200


def test_an_unknown_address_is_throttled_just_the_same() -> None:
    assert [log_in("nobody@example.com", "wrong").status for _ in range(12)] == [401] * 10 + [429] * 2


def test_somebody_else_at_the_same_address_still_gets_in() -> None:
    register("bob@example.com")
    for _ in range(12):
        log_in("ann@example.com", "wrong")
    assert log_in("bob@example.com", PASSWORD).status == 200


ME, CHANGE = "/v1/users/me", "/v1/users/password/change"
GUESSES = [
    ("POST", CHANGE, {"new_password": "another good password"}),
    ("PATCH", ME, {"email": "thief@example.com"}),
    ("DELETE", ME, {}),
]


def test_guesses_of_who_is_logged_in_count_as_those_of_logins_do() -> None:
    """A thief of an open session must not find out the password with it."""
    ann = customer("Ann@example.com")
    statuses = []
    for method, path, body in GUESSES * 4:
        answer = ann.send(method, path, body | {"current_password": "guess"})
        statuses.append(answer.status)
    assert statuses == [400] * 10 + [429] * 2
    assert (answer.code, 1 <= int(answer.headers["Retry-After"]) <= 901) == ("throttled", True)
    for method, path, body in GUESSES:
        assert ann.send(method, path, body | {"current_password": PASSWORD}).status == 429, "not even looked at"
    assert log_in("ann@example.com", PASSWORD).status == 429
    assert ann.get(ME).status == 200, "logins go on"
    assert ann.patch(ME, {"full_name": "Ann"}).status == 200, "which needs no password"


def test_the_owner_elsewhere_still_changes_and_erases() -> None:
    ann = customer("ann@example.com")
    for _ in range(12):
        ann.send("DELETE", ME, {"current_password": "guess"})
    home = Person(log_in("ann@example.com", PASSWORD, **ELSEWHERE).data)
    change = {"current_password": PASSWORD, "new_password": "another good password"}
    changed = home.post(CHANGE, change, **ELSEWHERE)
    assert changed.status == 200
    erase = {"current_password": "another good password"}
    assert Person(changed.data).send("DELETE", ME, erase, **ELSEWHERE).status == 204


def test_right_passwords_and_none_at_all_do_not_use_up_tries() -> None:
    ann = customer("ann@example.com")
    for number in range(12):
        assert ann.patch(ME, {"email": f"ann{number}@example.com"}).status == 400, "the password is needed"
        change = {"email": f"ann{number}@example.com", "current_password": PASSWORD}
        assert ann.patch(ME, change).status == 200


def test_a_registration_s_key_is_no_way_to_guess() -> None:
    body = {"email": "ann@example.com", "full_name": "Ann"}
    assert Api().post("/v1/users/register", body | {"password": PASSWORD}, key="k").status == 201
    guesses = [Api().post("/v1/users/register", body | {"password": "another one"}, key="k") for _ in range(12)]
    assert [answer.status for answer in guesses] == [422] * 10 + [429] * 2


def staff_member() -> None:
    user = User(username="boss@shop.example", email="boss@shop.example", is_staff=True, is_superuser=True)
    user.set_password(PASSWORD)
    user.save()


def at_the_admin(password: str, **headers: str) -> int:
    form = {"username": "boss@shop.example", "password": password, "next": "/admin/"}
    return Client(headers=headers).post("/admin/login/", form).status_code


def test_the_staff_token_is_guarded_too() -> None:
    staff_member()
    tries = [log_in("boss@shop.example", "wrong", "/v1/staff/token").status for _ in range(11)]
    assert tries == [401] * 10 + [429]
    assert log_in("boss@shop.example", PASSWORD, "/v1/staff/token", **ELSEWHERE).status == 200


def test_so_is_the_admin_and_both_count_together() -> None:
    staff_member()
    assert [at_the_admin("wrong") for _ in range(6)] == [200] * 6
    assert [log_in("boss@shop.example", "wrong", "/v1/staff/token").status for _ in range(4)] == [401] * 4
    assert at_the_admin(PASSWORD) == 429
    assert at_the_admin(PASSWORD, **ELSEWHERE) == 302


def test_signing_in_to_the_admin_does_not_use_up_tries() -> None:
    staff_member()
    assert [at_the_admin(PASSWORD) for _ in range(12)] == [302] * 12


def test_an_open_session_of_the_admin_is_no_way_to_guess() -> None:
    staff_member()
    session = Client()
    session.force_login(User.objects.get())
    form = {"old_password": "guess", "new_password1": "another good one", "new_password2": "another good one"}
    assert [session.post("/admin/password_change/", form).status_code for _ in range(12)] == [200] * 10 + [429] * 2
    assert at_the_admin(PASSWORD) == 429
    elsewhere = session.post("/admin/password_change/", form | {"old_password": PASSWORD}, headers=ELSEWHERE)
    assert elsewhere.status_code == 302
    assert Client().get("/admin/password_change/").status_code == 302, "to the login"
