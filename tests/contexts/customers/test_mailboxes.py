"""One mailbox, one account: an address has one form, at every door."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail as sent
from django.core.management import call_command

from contexts.customers.models import Customer, MailRequest
from contexts.customers.public.api import customers
from contexts.notifications.models import Notification
from tests.support.api import Api, settle
from tests.support.people import PASSWORD, customer, log_in, register

pytestmark = pytest.mark.usefixtures("closed")

STORED = "ann@xn--exmple-cua.de"
FORMS = [
    STORED,
    "ANN@XN--EXMPLE-CUA.DE",
    "ann@ex\u00e4mple.de",
    "ann@exa\u0308mple.de",
    "ann@EX\u00c4MPLE.de",
    "ann@\uff45x\u00e4mple.de",
    "ann@ex\u00e4mple\u3002de",
    " ann@ex\u00e4mple.de\u00a0",
]


@pytest.fixture
def ann() -> int:
    return register("ann@ex\u00e4mple.de")


def person(email: str) -> dict[str, str]:
    return {"email": email, "full_name": "Ann", "password": PASSWORD}


@pytest.mark.parametrize("email", FORMS)
class TestEachForm:
    def test_registers_once(self, ann: int, email: str) -> None:
        again = Api().post("/v1/users/register", person(email))
        assert (again.status, again.code) == (409, "duplicate_email")
        call_command("load_customers", customers=[{"email": email, "full_name": "Ann", "phone": ""}])
        assert list(Customer.objects.values_list("email", "email_key")) == [(STORED, STORED)]

    def test_logs_in(self, ann: int, email: str) -> None:
        assert log_in(email).data["customer_id"] == ann

    def test_resets_its_own_password(self, ann: int, email: str) -> None:
        assert Api().post("/v1/users/password/reset", {"email": email}).status == 200
        assert MailRequest.objects.get(purpose="password_reset").email_key == STORED

    def test_is_nobody_elses_new_address(self, ann: int, email: str) -> None:
        bob = customer("bob@example.com")
        answer = bob.patch("/v1/users/me", {"email": email, "current_password": PASSWORD})
        assert (answer.status, answer.code) == (409, "duplicate_email")

    def test_finds_its_customer(self, ann: int, email: str, settings: Any) -> None:
        settings.ECI_OPEN = True
        found = Api().get(f"/v1/customers?{urlencode({'email': email})}").data
        assert [one["customer_id"] for one in found] == [ann]
        assert customers.customer_with(email=email) == ann
        assert customers.customer_ids_by_email(email=email) == (ann,)


def test_another_owners_domain_is_another_account() -> None:
    """IDNA 2003 made one of these two."""
    sharp, double = register("x@stra\u00dfe.de"), register("x@strasse.de")
    assert sharp != double
    assert list(Customer.objects.order_by("pk").values_list("email", flat=True)) == [
        "x@xn--strae-oqa.de",
        "x@strasse.de",
    ]


@pytest.mark.parametrize(
    "email", ["k\u0131rk@example.com", "\u017fam@example.com", '"<script>"@example.com', '"a b"@example.com', "a@b"]
)
def test_what_is_no_address_is_refused_at_every_door(email: str) -> None:
    assert list(Api().post("/v1/users/register", person(email)).details) == ["email"]
    bob = customer("bob@example.com")
    changed = bob.patch("/v1/users/me", {"email": email, "current_password": PASSWORD})
    assert (changed.status, list(changed.details)) == (400, ["email"])
    with pytest.raises(ValueError, match="valid"):
        call_command("load_customers", customers=[{"email": email, "full_name": "x", "phone": ""}])


@pytest.mark.parametrize(
    ("stored", "mailed"),
    [
        ('"X y"@example.com', '"X y"@example.com'),
        ("k\u0131rk@example.com", "k\u0131rk@example.com"),
        ("a@b", "a@b"),
        ('"Ann"@stra\u00dfe.de', '"Ann"@xn--strae-oqa.de'),
    ],
)
def test_who_registered_before_that_was_refused_still_gets_in(ann: int, stored: str, mailed: str) -> None:
    Customer.objects.update(email=stored, email_key=stored.lower())
    assert log_in(stored).data["customer_id"] == ann
    asked = Api().post("/v1/users/password/reset", {"email": f" {stored} "})
    nobodys = Api().post("/v1/users/password/reset", {"email": f"x{stored.strip(chr(34)).replace(' ', '')}"})
    assert (asked.status, asked.data) == (nobodys.status, nobodys.data)
    settle()
    assert Notification.objects.get(kind="password_reset", status="SENT").recipient == mailed
    [mail] = [one for one in sent.outbox if "new password" in one.subject]
    assert mail.to == [mailed]
    secret = re.search(r"choose one with:\s+(\S+)", mail.body)
    assert secret is not None
    new = {"token": secret[1], "new_password": "another horse battery"}
    assert Api().post("/v1/users/password/reset/confirm", new).status == 200
    assert log_in(stored, "another horse battery").data["customer_id"] == ann


@pytest.mark.parametrize("email", ["x", "a@", "@b.c", "a b@c.de", "a@b c.de", '"a\nb"@c.de', "a@\u202eb.de"])
def test_what_never_was_an_address_resets_nothing(email: str) -> None:
    assert list(Api().post("/v1/users/password/reset", {"email": email}).details) == ["email"]


def test_one_change_of_ones_own_account_does_not_undo_another() -> None:
    me = customer("ann@example.com")
    tag = me.get("/v1/users/me").headers["ETag"]
    assert me.patch("/v1/users/me", {"phone": "12345"}, **{"If-Match": tag}).headers["ETag"].startswith('"2-')
    late = me.patch("/v1/users/me", {"phone": "54321"}, **{"If-Match": tag})
    assert (late.status, late.code) == (412, "precondition_failed")
    assert me.get("/v1/users/me", **{"If-None-Match": tag}).data["phone"] == "12345"
    assert me.patch("/v1/users/me", {"full_name": "Ann B"}).data["phone"] == "12345"


def test_who_logs_in_on_the_same_device_is_not_shown_the_one_before() -> None:
    ann, bob = customer("ann@example.com"), customer("bob@example.com")
    tag = ann.get("/v1/users/me").headers["ETag"]
    assert ann.get("/v1/users/me", **{"If-None-Match": tag}).status == 304
    assert bob.get("/v1/users/me", **{"If-None-Match": tag}).data["email"] == "bob@example.com"
