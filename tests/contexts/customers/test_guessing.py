"""Limits for wrong passwords, at the API's logins and at the admin's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import limits
from eci.limits import begin_login
from tests.support.api import Answer, Api
from tests.support.people import PASSWORD, Person, customer, register, spellings

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


def at_the_admin(password: str, name: str = "boss@shop.example", **headers: str) -> int:
    form = {"username": name, "password": password, "next": "/admin/"}
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


@pytest.fixture
def unlimited(settings: Any) -> None:
    """As often as one likes, as far as rates go: not what is the subject here."""
    settings.ECI_RATE_LIMITS = limits.parse("off")


@pytest.mark.usefixtures("unlimited")
class TestSpellings:
    """However its name is written, an account has ten guesses; and so has one that does not exist.

    `tests/processes/test_closed.py` tries 60.
    """

    @pytest.mark.parametrize("name", ["boss.kid@shop.example", "nobody.is@shop.example"])
    def test_ten_at_each_door(self, name: str) -> None:
        User.objects.create_superuser("boss.kid@shop.example", "boss.kid@shop.example", PASSWORD)
        register("boss.kid@shop.example")
        written = spellings(name, 18)
        assert Counter(at_the_admin("wrong", one) for one in written) == {200: 10, 429: 8}
        assert {log_in(one, PASSWORD, "/v1/staff/token").status for one in written} == {429}, "counted together"
        assert Counter(log_in(one, "wrong").status for one in written) == {401: 10, 429: 8}

    def test_name_and_address_of_one_account_share_its_guesses(self) -> None:
        User.objects.create_superuser("boss", "boss@shop.example", PASSWORD)
        url = "/v1/staff/token"
        tries = [log_in(name, "wrong", url).status for name in ["boss", "boss@shop.example"] * 6]
        assert tries == [401] * 10 + [429] * 2
        assert at_the_admin(PASSWORD, "boss") == 429

    def test_a_customer_who_moves_takes_the_guesses_along(self) -> None:
        ann = customer("ann@example.com")
        for _ in range(10):
            log_in("ann@example.com", "wrong")
        guess = ann.post("/v1/users/password/change", {"current_password": "x", "new_password": "another good one"})
        assert guess.status == 429


@pytest.mark.parametrize("name", ["bo\u017fs@shop.example", "b\u00f6ss@shop.example", "bo\u017fs", "\uff42oss"])
def test_nobody_signs_in_by_a_name_that_only_folds_to_theirs(name: str) -> None:
    """PostgreSQL's upper case of \u017f is S."""
    User.objects.create_superuser("boss", "boss@shop.example", PASSWORD)
    assert log_in(name, PASSWORD, "/v1/staff/token").status == 401
    assert log_in("BOSS@shop.example", PASSWORD, "/v1/staff/token").status == 200


@pytest.mark.usefixtures("unlimited")
class TestSpraying:
    """One password for many names, from one address: a hundred guesses, and the office behind it still works."""

    def test_a_hundred_and_no_more(self) -> None:
        staff_member()
        for name in ("here@example.com", "new@example.com"):
            register(name)
        assert log_in("here@example.com", PASSWORD).status == 200
        for number in range(97):
            begin_login(account="", name=f"staff-named:name{number}@shop.example", address="127.0.0.1")
        assert [log_in("a@example.com", "Summer2026!").status, at_the_admin("Summer2026!", "b@shop.example")] == [
            401,
            200,
        ]
        assert log_in("c@example.com", "Summer2026!", "/v1/staff/token").status == 401
        assert {log_in(f"d{number}@example.com", "Summer2026!").status for number in range(4)} == {429}
        assert (log_in("new@example.com", PASSWORD).status, at_the_admin(PASSWORD)) == (429, 429)
        assert log_in("here@example.com", PASSWORD).status == 200, "has signed in from here before"
        assert log_in("new@example.com", PASSWORD, **ELSEWHERE).status == 200
        assert log_in("new@example.com", PASSWORD).status == 429, "signing in elsewhere is not signing in here"

    def test_guessed_secrets_of_mails_count_too(self) -> None:
        for _ in range(98):
            begin_login(account="", address="127.0.0.1")
        confirm = {"token": "guess", "new_password": "another good password"}
        for _ in range(2):
            answers = [
                Api().post("/v1/users/password/reset/confirm", confirm).status,
                Api().post("/v1/users/email/verify", {"token": "guess"}).status,
            ]
        assert answers == [429, 429]
