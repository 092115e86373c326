"""Logging in, staying in, being thrown out: customers, staff, and a thief."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.core.management import call_command

from contexts.customers import services, workflows
from contexts.customers.models import Customer, MailRequest, RefreshToken, TokenFamily
from contexts.customers.tasks import prune
from contexts.notifications.models import Notification
from eci.clock import utcnow
from eci.db import in_unit_of_work
from eci.identity import passwords
from tests.support.api import Answer, Api, settle
from tests.support.people import PASSWORD, Person, customer, log_in, refresh, register, staff

pytestmark = pytest.mark.usefixtures("closed")

ME = "/v1/users/me"
NEW = "another good password"


@pytest.fixture
def ann() -> Person:
    return customer("Ann@example.com")


def refused(answer: Answer) -> bool:
    return (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, "not_authenticated", "Bearer")


def mails(subject: str) -> list[Any]:
    """The mails with these words in their subject, after everything that is due was sent."""
    settle()
    return [each for each in mail.outbox if subject in each.subject]


def secret_in(letter: Any) -> str:
    found = re.search(r"\n\n(\S{43})\n\n", letter.body)
    assert found, letter.body
    return found[1]


class TestLogin:
    def test_in_any_case_of_the_address(self, ann: Person) -> None:
        answer = log_in("aNN@EXAMPLE.com")
        assert (answer.status, answer.data["customer_id"]) == (200, ann.customer_id)
        assert set(answer.data) == {"access", "refresh", "token_type", "expires_in", "customer_id"}
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_same_words_for_an_unknown_address_and_a_wrong_password(self, ann: Person) -> None:
        answers = [log_in("ann@example.com", "wrong"), log_in("nobody@example.com"), log_in("no address", "x")]
        assert all(refused(answer) for answer in answers)
        assert len({answer.error for answer in answers}) == 1

    @pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com", "nopassword@example.com"])
    @pytest.mark.parametrize("log_in", [workflows.log_in, workflows.log_in_staff])
    def test_the_same_work_whether_or_not_there_is_an_account(
        self, ann: Person, monkeypatch: pytest.MonkeyPatch, email: str, log_in: Any
    ) -> None:
        services.register_customer(email="nopassword@example.com", full_name="x", password_hash=passwords.NO_PASSWORD)
        hashed = []
        encode = passwords.Argon2id.encode
        verify = passwords.Argon2id.verify
        monkeypatch.setattr(passwords.Argon2id, "encode", lambda *a: hashed.append(in_unit_of_work()) or encode(*a))
        monkeypatch.setattr(passwords.Argon2id, "verify", lambda *a: hashed.append(in_unit_of_work()) or verify(*a))
        with pytest.raises(Exception, match="wrong"):
            log_in(email=email, password="wrong")
        assert hashed == [False], "once, and in no transaction"

    def test_staff_is_no_customer_and_the_other_way_round(self, ann: Person) -> None:
        staff("P", "pat@shop.example")
        assert refused(log_in("pat@shop.example"))
        assert refused(Api().post("/v1/staff/token", {"email": "ann@example.com", "password": PASSWORD}))

    def test_staff_s_answer_names_the_roles(self) -> None:
        person = staff("S")
        assert (person.login["roles"], "customer_id" in person.login) == (["S"], False)
        assert person.get(ME).status == 403
        assert staff("admin").get(ME).status == 404

    @pytest.mark.parametrize("body", [{}, {"email": "a@example.com"}, {"password": "x"}, {"email": 1, "password": "x"}])
    def test_bad_bodies(self, body: Any) -> None:
        for path in ("/v1/users/login", "/v1/staff/token"):
            assert Api().post(path, body).status == 400

    def test_an_old_access_token_is_not_in_the_way(self, ann: Person) -> None:
        body = {"email": "ann@example.com", "password": PASSWORD}
        assert Api().post("/v1/users/login", body, Authorization="Bearer expired").status == 200
        renewed = Api().post("/v1/users/token/refresh", {"refresh": ann.login["refresh"]}, Authorization="Bearer old")
        assert renewed.status == 200

    def test_demo_customers_cannot_log_in(self) -> None:
        call_command("load_customers", customers=[{"email": "demo@example.com", "full_name": "Demo", "phone": ""}])
        for password in ("", "!", "demo", "demo@example.com"):
            assert log_in("demo@example.com", password).status in (400, 401)


class TestRefreshing:
    def test_gives_a_new_pair(self, ann: Person) -> None:
        answer = refresh(ann.login["refresh"])
        assert (answer.status, answer.data["customer_id"]) == (200, ann.customer_id)
        assert answer.data["refresh"] != ann.login["refresh"]
        assert Person(answer.data).get(ME).status == 200
        assert refresh(answer.data["refresh"]).status == 200

    def test_nothing_in_the_database_logs_anybody_in(self, ann: Person) -> None:
        renewed = refresh(ann.login["refresh"], key="k").data
        kept = repr([list(model._default_manager.values()) for model in apps.get_app_config("customers").get_models()])
        assert "successor" in kept
        for secret in (ann.login["refresh"], renewed["refresh"], ann.login["access"], renewed["access"]):
            assert secret not in kept

    def test_a_stolen_token(self, ann: Person) -> None:
        """Whoever comes second shows that there are two: then neither gets on, and the owner is told."""
        stolen = ann.login["refresh"]
        thief = Person(refresh(stolen).data)
        assert thief.get(ME).status == 200
        assert refused(refresh(stolen)), "the owner, with a token that was used"
        assert refused(refresh(thief.login["refresh"])), "the thief"
        assert refused(thief.get(ME)), "nor does the access token go on for its ten minutes"
        assert refused(ann.get(ME))
        assert [letter.to for letter in mails("ended one of your logins")] == [["Ann@example.com"]]
        assert refused(refresh(stolen))
        assert len(mails("ended one of your logins")) == 1, "told once"
        assert log_in("ann@example.com").status == 200

    def test_a_thief_who_comes_second(self, ann: Person) -> None:
        owner = refresh(ann.login["refresh"]).data
        assert refused(refresh(ann.login["refresh"]))
        assert refused(refresh(owner["refresh"]))

    def test_other_logins_go_on(self, ann: Person) -> None:
        phone = Person(log_in("ann@example.com").data)
        refresh(ann.login["refresh"])
        refresh(ann.login["refresh"])
        assert refused(ann.get(ME))
        assert phone.get(ME).status == 200
        assert refresh(phone.login["refresh"]).status == 200

    def test_staff_is_told_too(self) -> None:
        person = staff("S")
        refresh(person.login["refresh"])
        assert refused(refresh(person.login["refresh"]))
        assert refused(person.get("/v1/warehouses"))
        assert [letter.to for letter in mails("ended one of your logins")] == [["s@shop.example"]]

    def test_a_lost_answer_may_be_asked_for_again_with_its_key(self, ann: Person) -> None:
        first, again = (refresh(ann.login["refresh"], key="k").data["refresh"] for _ in range(2))
        assert first == again, "one chain, whatever happens"
        assert refresh(first).status == 200

    @pytest.mark.parametrize("key", [None, "another"])
    def test_a_thief_has_not_got_the_key(self, ann: Person, key: str | None) -> None:
        owner = refresh(ann.login["refresh"], key="k").data
        assert refused(refresh(ann.login["refresh"], key=key))
        assert refused(refresh(owner["refresh"]))

    def test_no_key_is_no_key_to_share(self, ann: Person) -> None:
        thief = refresh(ann.login["refresh"]).data
        assert refused(refresh(ann.login["refresh"], key="k"))
        assert refused(refresh(thief["refresh"]))

    def test_the_answer_is_not_given_again_once_its_token_was_used(self, ann: Person) -> None:
        first = refresh(ann.login["refresh"], key="k").data
        second = refresh(first["refresh"]).data
        assert refused(refresh(ann.login["refresh"], key="k"))
        assert refused(refresh(second["refresh"]))

    def test_nor_after_a_minute(self, ann: Person) -> None:
        first = refresh(ann.login["refresh"], key="k").data
        RefreshToken.objects.exclude(used_at=None).update(used_at=utcnow() - timedelta(seconds=61))
        assert refused(refresh(ann.login["refresh"], key="k"))
        assert refused(refresh(first["refresh"]))

    def test_a_login_ends_after_thirty_days(self, ann: Person) -> None:
        TokenFamily.objects.update(expires_at=utcnow() - timedelta(seconds=1))
        assert refused(refresh(ann.login["refresh"]))
        assert refused(ann.get(ME))

    @pytest.mark.parametrize("token", ["x", "eyJ.eyJ.x", "A" * 43, "\u00e9"])
    def test_what_was_never_issued(self, ann: Person, token: str) -> None:
        assert refused(refresh(token))
        assert refused(refresh(ann.login["access"][:200]))
        assert refresh(ann.login["refresh"]).status == 200

    def test_what_has_ended_is_forgotten_after_a_while(self, ann: Person) -> None:
        Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        prune()
        assert (TokenFamily.objects.count(), MailRequest.objects.count()) == (1, 1)
        long_ago = utcnow() - timedelta(days=2)
        TokenFamily.objects.update(expires_at=long_ago)
        MailRequest.objects.update(expires_at=long_ago)
        prune()
        assert (TokenFamily.objects.count(), RefreshToken.objects.count(), MailRequest.objects.count()) == (0, 0, 0)


class TestLoggingOut:
    def test_ends_this_login(self, ann: Person) -> None:
        phone = Person(log_in("ann@example.com").data)
        assert Api().post("/v1/users/logout", {"refresh": ann.login["refresh"]}).status == 200
        assert refused(refresh(ann.login["refresh"]))
        assert refused(ann.get(ME))
        assert phone.get(ME).status == 200
        assert mails("ended one of your logins") == [], "that was no theft"

    def test_tells_nothing_of_what_it_does_not_know(self) -> None:
        assert Api().post("/v1/users/logout", {"refresh": "whatever"}).status == 200

    def test_everywhere(self, ann: Person) -> None:
        phone = Person(log_in("ann@example.com").data)
        bob = customer("bob@example.com")
        assert ann.post("/v1/users/sessions/revoke").data == {"revoked": 2}
        for person in (ann, phone):
            assert refused(person.get(ME))
            assert refused(refresh(person.login["refresh"]))
        assert bob.get(ME).status == 200


class TestPasswords:
    def test_a_change_ends_every_login_and_gives_a_new_one(self, ann: Person) -> None:
        phone = Person(log_in("ann@example.com").data)
        body = {"current_password": PASSWORD, "new_password": NEW}
        answer = ann.post("/v1/users/password/change", body)
        assert (answer.status, Person(answer.data).get(ME).status) == (200, 200)
        for person in (ann, phone):
            assert refused(person.get(ME))
            assert refused(refresh(person.login["refresh"]))
        assert refused(log_in("ann@example.com"))
        assert log_in("ann@example.com", NEW).status == 200
        assert len(mails("password was changed")) == 1

    def test_a_change_needs_the_current_one_and_a_good_one(self, ann: Person) -> None:
        path = "/v1/users/password/change"
        wrong = ann.post(path, {"current_password": "guess", "new_password": NEW})
        assert (wrong.status, list(wrong.details)) == (400, ["current_password"])
        weak = ann.post(path, {"current_password": PASSWORD, "new_password": "password"})
        assert (weak.status, list(weak.details)) == (400, ["new_password"])
        assert ann.get(ME).status == 200
        assert not services.change_password(customer_id=ann.customer_id, before="an older hash", after="x")

    def test_a_reset(self, ann: Person) -> None:
        assert Api().post("/v1/users/password/reset", {"email": "ANN@example.com"}).status == 200
        (letter,) = mails("new password")
        assert letter.to == ["Ann@example.com"]
        body = {"token": secret_in(letter), "new_password": NEW}
        assert Api().post("/v1/users/password/reset/confirm", body).status == 200
        assert refused(ann.get(ME))
        assert refused(log_in("ann@example.com"))
        fresh = Person(log_in("ann@example.com", NEW).data)
        assert fresh.get(ME).data["email_verified"] is True, "whoever read the mail has the address"
        again = Api().post("/v1/users/password/reset/confirm", body)
        assert (again.status, list(again.details)) == (400, ["token"])
        assert len(mails("password was changed")) == 1

    def test_a_reset_answers_and_does_the_same_for_an_unknown_address(self, ann: Person, statements: Any) -> None:
        seen = []
        for email in ("ann@example.com", "nobody@example.com"):
            with statements() as counted:
                answer = Api().post("/v1/users/password/reset", {"email": email})
            seen.append((answer.status, answer.data, [alias for alias, _ in counted.log]))
        assert seen[0] == seen[1]
        assert [letter.to for letter in mails("new password")] == [["Ann@example.com"]]

    def test_a_secret_is_nowhere_but_in_the_mail(self, ann: Person) -> None:
        Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        secret = secret_in(mails("new password")[0])
        kept = [list(model._default_manager.values()) for model in apps.get_models() if model._meta.app_label != "auth"]
        assert "(not kept)" in repr(kept)
        assert secret not in repr(kept)
        shown = json.dumps(staff("P").get("/v1/notifications").json)
        assert ("password_reset" in shown, secret in shown) == (True, False)

    def test_a_secret_sent_again_is_another_one(self, ann: Person) -> None:
        Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        first = secret_in(mails("new password")[0])
        _, second = services.issue_secret(request_id=MailRequest.objects.get().pk)
        answers = [
            Api().post("/v1/users/password/reset/confirm", {"token": each, "new_password": NEW}).status
            for each in (first, second)
        ]
        assert answers == [400, 200]

    def test_a_secret_is_good_for_half_an_hour_and_for_one_purpose(self, ann: Person, settings: Any) -> None:
        settings.ECI_VERIFY_EMAIL = True
        register("bob@example.com")
        verification = secret_in(mails("confirm your e-mail")[0])
        Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        reset = secret_in(mails("new password")[0])
        MailRequest.objects.filter(purpose="password_reset").update(expires_at=utcnow() - timedelta(seconds=1))
        for token in (reset, verification, "x"):
            body = {"token": token, "new_password": NEW}
            assert Api().post("/v1/users/password/reset/confirm", body).status == 400
        assert ann.get(ME).status == 200

    def test_one_reset_voids_the_others(self, ann: Person) -> None:
        for _ in range(2):
            Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        one, other = (secret_in(letter) for letter in mails("new password"))
        answers = [
            Api().post("/v1/users/password/reset/confirm", {"token": each, "new_password": NEW}).status
            for each in (one, other)
        ]
        assert answers == [200, 400]

    def test_the_mail_leads_to_the_storefront_if_there_is_one(self, ann: Person, settings: Any) -> None:
        settings.ECI_STOREFRONT_URL = "https://shop.example"
        Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
        assert re.search(r"\n\nhttps://shop\.example/password-reset#token=\S{43}\n", mails("new password")[0].body)


class TestAddressOfTheAccount:
    def test_needs_the_password_to_be_changed(self, ann: Person) -> None:
        for guess in ({}, {"current_password": "guess"}):
            answer = ann.patch(ME, {"email": "thief@example.com"} | guess)
            assert (answer.status, list(answer.details)) == (400, ["current_password"])
        changed = ann.patch(ME, {"email": "new@example.com", "current_password": PASSWORD})
        assert (changed.status, changed.data["new_email"]) == (200, "new@example.com")
        assert ann.patch(ME, {"email": "ANN@example.com"}).data["email"] == "ANN@example.com", "only its case"

    def test_is_verified_before_the_first_login_where_that_is_asked(self, settings: Any) -> None:
        settings.ECI_VERIFY_EMAIL = True
        register("eve@example.com")
        early = log_in("eve@example.com")
        assert (early.status, early.code) == (403, "email_not_verified")
        assert refused(log_in("eve@example.com", "wrong")), "only who knows the password hears of it"
        token = secret_in(mails("confirm your e-mail")[0])
        assert [Api().post("/v1/users/email/verify", {"token": token}).status for _ in range(2)] == [200, 400]
        assert Person(log_in("eve@example.com").data).get(ME).data["email_verified"] is True

    def test_no_mail_where_it_is_not_asked(self) -> None:
        register("eve@example.com")
        assert mails("") == []

    def test_mails_of_the_account_go_where_it_is_now(self, ann: Person) -> None:
        refresh(ann.login["refresh"])
        refresh(ann.login["refresh"])
        Customer.objects.update(email="moved@example.com", email_key="moved@example.com")
        assert [letter.to for letter in mails("ended one of your logins")] == [["moved@example.com"]]

    def test_who_was_erased_gets_none(self, ann: Person) -> None:
        refresh(ann.login["refresh"])
        refresh(ann.login["refresh"])
        Customer.objects.update(erased_at=utcnow())
        assert mails("") == []
        assert Notification.objects.get().status == "SUPPRESSED"
