"""An account moves to another e-mail address: only who reads the new one's mail can do it, and the old one is told."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from contexts.customers.models import Customer, MailRequest
from contexts.notifications.models import Notification
from eci.clock import utcnow
from tests.support.api import Answer, Api, settle
from tests.support.pages import form_in
from tests.support.people import PASSWORD, Person, customer, log_in, refresh, register, staff

pytestmark = pytest.mark.usefixtures("closed")

ME, NEW = "/v1/users/me", "new@example.com"
ASK = {"email": NEW, "current_password": PASSWORD}


@pytest.fixture
def ann() -> Person:
    return customer("ann@example.com")


def letters(subject: str, to: str) -> list[Any]:
    settle()
    return [letter for letter in mail.outbox if subject in letter.subject and letter.to == [to]]


def links(to: str = NEW) -> list[str]:
    return [re.findall(r"\n\n(\S{43})\n\n", letter.body)[0] for letter in letters("confirm your new", to)]


def follow(secret: str) -> Answer:
    return Api().post("/v1/users/email/verify", {"token": secret})


def ask_by_page(customer_id: int) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root", "root@shop.example", PASSWORD))
    url = f"/admin/customers/customer/{customer_id}/change/"
    form = form_in(browser.get(url).content.decode(), having="_form_key")
    assert browser.post(url, form.fields | {"email": NEW}).status_code == 302


@pytest.mark.parametrize("who", ["the owner", "support", "support's page"])
def test_it_counts_once_the_link_is_followed(ann: Person, who: str) -> None:
    phone = Person(log_in("ann@example.com").data)
    if who == "the owner":
        asked = ann.patch(ME, ASK)
        assert (asked.data["email"], asked.data["new_email"]) == ("ann@example.com", NEW)
    elif who == "support":
        asked = staff("P").patch(f"/v1/customers/{ann.customer_id}", {"email": NEW})
        assert (asked.data["email"], asked.data["new_email"]) == ("ann@example.com", NEW)
    else:
        ask_by_page(ann.customer_id)
    [told] = letters("is to have another e-mail address", "ann@example.com")
    assert NEW not in told.body, "who reads an old mailbox need not learn the new one"
    assert (log_in(NEW).status, log_in("ann@example.com").status, phone.get(ME).status) == (401, 200, 200)
    Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
    settle()

    [secret] = links()
    assert [follow(secret).status for _ in range(2)] == [200, 400], "once"
    assert (log_in(NEW).status, log_in("ann@example.com").status) == (200, 401)
    assert phone.get(ME).status == 401
    assert refresh(phone.login["refresh"]).status == 401
    if who == "the owner":
        mine = ann.get(ME).data
        assert (mine["email"], mine["new_email"], mine["email_verified"]) == (NEW, None, True)
    else:
        assert ann.get(ME).status == 401, "staff's change ends every login"
    [reset] = letters("Choose a new password", "ann@example.com")
    body = {"token": re.findall(r"\n\n(\S{43})\n\n", reset.body)[0], "new_password": "another good password"}
    assert Api().post("/v1/users/password/reset/confirm", body).status == 400, "mailed to where the account was"
    assert register("ann@example.com"), "the old address is free"


def test_the_old_address_is_told_also_when_the_link_is_followed_at_once(ann: Person) -> None:
    """The two mails are sent by another process, one after the other, and a thief is quick."""
    ann.patch(ME, ASK)
    request = MailRequest.objects.get()
    assert request.moves_from == "ann@example.com"
    assert follow(links()[0]).status == 200
    Notification.objects.filter(kind="email_change_asked").update(status="QUEUED", recipient="", next_at=utcnow())
    settle()
    assert len(letters("is to have another e-mail address", "ann@example.com")) == 2
    assert letters("is to have another e-mail address", NEW) == []


VOIDED = {
    "the address of now": lambda ann: ann.patch(ME, {"email": "Ann@example.com"}),
    "another question": lambda ann: ann.patch(ME, ASK),
    "a new password": lambda ann: ann.post(
        "/v1/users/password/change", {"current_password": PASSWORD, "new_password": "another good password"}
    ),
    "a block": lambda ann: staff("P").patch(f"/v1/customers/{ann.customer_id}", {"is_blocked": True}),
    "three days": lambda ann: MailRequest.objects.update(expires_at=utcnow() - timedelta(seconds=1)),
    "erasing": lambda ann: ann.send("DELETE", ME, {"current_password": PASSWORD}),
}


@pytest.mark.parametrize("what", VOIDED)
def test_what_makes_the_link_void(ann: Person, what: str) -> None:
    ann.patch(ME, ASK)
    [secret] = links()
    VOIDED[what](ann)
    assert follow(secret).status == 400
    assert log_in(NEW).status == 401
    assert not Customer.objects.filter(email_key=NEW).exists()
    if what == "another question":
        assert follow(links()[-1]).status == 200
    elif what == "a new password":
        assert Customer.objects.get().new_email == ""


def test_a_reset_takes_the_account_back_from_who_had_the_password(ann: Person) -> None:
    ann.patch(ME, ASK)
    [secret] = links()
    Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
    [reset] = letters("Choose a new password", "ann@example.com")
    body = {"token": re.findall(r"\n\n(\S{43})\n\n", reset.body)[0], "new_password": "another good password"}
    assert Api().post("/v1/users/password/reset/confirm", body).status == 200
    assert follow(secret).status == 400
    assert log_in("ann@example.com", "another good password").data["customer_id"] == ann.customer_id


def test_who_registers_the_address_first_keeps_it(ann: Person) -> None:
    ann.patch(ME, ASK)
    [secret] = links()
    eve = register(NEW)
    late = follow(secret)
    assert (late.status, late.code) == (409, "duplicate_email")
    assert log_in(NEW).data["customer_id"] == eve
    assert log_in("ann@example.com").data["customer_id"] == ann.customer_id
    assert ann.patch(ME, ASK).status == 409, "and asking again is refused"


# -- mails by recipient -----------------------------------------------------------------------------------------------


def test_five_resets_an_hour_whoever_asks_and_the_same_answer(ann: Person) -> None:
    Customer.objects.update(email_verified_at=utcnow())
    spelled = ["ann@example.com", "ANN@example.com", " Ann@EXAMPLE.com"]
    answers = {
        (answer.status, str(answer.data))
        for number in range(8)
        for email in (spelled[number % 3], "nobody@example.com")
        for answer in [Api().post("/v1/users/password/reset", {"email": email})]
    }
    assert len(answers) == 1
    assert len(letters("Choose a new password", "ann@example.com")) == 5
    settle()
    assert Notification.objects.filter(kind="password_reset", status="SENT").count() == 5
    assert not Notification.objects.filter(kind="password_reset", status__in=["QUEUED", "FAILED"]).exists()
    MailRequest.objects.update(created_at=utcnow() - timedelta(minutes=61))
    Api().post("/v1/users/password/reset", {"email": "ann@example.com"})
    assert len(letters("Choose a new password", "ann@example.com")) == 6


def test_ten_mails_an_hour_to_an_address_that_nobody_has_confirmed(ann: Person) -> None:
    """Somebody registers another person's address, and does what sends mails; or moves accounts there."""
    for _ in range(12):
        ann.patch(ME, {"email": "victim@example.com", "current_password": PASSWORD})
        settle()
    assert len(mail.outbox) == 10
    assert Notification.objects.filter(status="QUEUED").count() > 0, "they wait, and are not lost"
    Customer.objects.update(email_verified_at=utcnow())
    Notification.objects.filter(kind="email_change_asked").update(next_at=utcnow())
    settle()
    assert len(letters("is to have another", "ann@example.com")) > 5, "a confirmed address is told everything"
    assert len(letters("confirm your new", "victim@example.com")) <= 10
    for number in range(6):
        other = customer(f"bot{number}@example.com")
        for _ in range(2):
            other.patch(ME, {"email": "victim@example.com", "current_password": PASSWORD})
            settle()
    assert len(letters("confirm your new", "victim@example.com")) <= 10, "whoever asks"


# -- passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["ann.other@example.com", "Ann.Other", "annother1", "Ann Other-Lee", "OTHER-LEE1"])
def test_ones_own_name_or_address_is_no_password(own: str) -> None:
    email, who = "ann.other@example.com", {"full_name": "Ann Other-Lee"}
    refused = Api().post("/v1/users/register", {"email": email, "password": own} | who)
    assert (refused.status, list(refused.details)) == (400, ["password"])
    ann = customer(email, **who)
    refused = ann.post("/v1/users/password/change", {"current_password": PASSWORD, "new_password": own})
    assert (refused.status, list(refused.details)) == (400, ["new_password"])
    Api().post("/v1/users/password/reset", {"email": email})
    [reset] = letters("Choose a new password", email)
    token = re.findall(r"\n\n(\S{43})\n\n", reset.body)[0]
    refused = Api().post("/v1/users/password/reset/confirm", {"token": token, "new_password": own})
    assert (refused.status, list(refused.details)) == (400, ["new_password"])
    good = Api().post("/v1/users/password/reset/confirm", {"token": token, "new_password": "another good password"})
    assert good.status == 200, "the secret was not used up"
