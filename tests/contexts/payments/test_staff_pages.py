"""The admin shows money, and does not let it be edited: staff decide reviews there, and refund."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from contexts.payments.models import Payment, Refund, Trail
from contexts.payments.public.contracts import PaymentUnknown
from eci import staff_confirm
from eci.ids import new_order_id
from eci.staff_forms import new_key
from tests.contexts.payments.conftest import due
from tests.support.pages import Browser, form_in, forms_in


@pytest.fixture
def staff() -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_superuser("root", password="not-used-here"))
    return client


def test_lists_are_searchable_and_read_only(api: Any, payments: Any, staff: Client) -> None:
    order_id = due(payments)
    paid = api.post("/v1/payments/charge", {"order_id": order_id, "amount": "100.00"}).data
    api.post(f"/v1/payments/{paid['payment_id']}/refund", {"amount": "40", "reason": "dented"})
    api.post("/v1/payments/charge", {"order_id": "FOREIGN-9", "amount": "5.00"})
    payments.close(order_id="ORD-LATE", reason="expired")
    for page, found in (("payment", "100.00"), ("paymentrequest", "100.00"), ("refund", "40.00")):
        shown = staff.get(f"/admin/payments/{page}/?q={order_id}").content.decode()
        assert found in shown
        assert "FOREIGN-9" not in shown
        assert staff.get(f"/admin/payments/{page}/").status_code == 200
        assert staff.get(f"/admin/payments/{page}/add/").status_code == 403
    assert staff.post(f"/admin/payments/payment/{paid['payment_id']}/delete/", {"post": "yes"}).status_code == 403


def test_a_token_is_never_shown(api: Any, staff: Client) -> None:
    api.post("/v1/payments/charge", {"order_id": "X", "amount": "5.00", "token": "tok_timeout"})
    row = Payment.objects.get()
    assert row.token == "tok_timeout"
    assert "tok_timeout" not in staff.get(f"/admin/payments/payment/{row.pk}/change/").content.decode()


def test_a_refund_pressed_twice_refunds_once(api: Any, staff: Client, ledger: Any) -> None:
    paid = api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00"}).data["payment_id"]
    page = staff.get(f"/v1/payments/{paid}/refund", headers={"Accept": "text/html"}).content.decode()
    [form] = [form for form in forms_in(page) if "POST" in form.buttons.get("_method", [])]

    def press(**typed: Any) -> Any:
        sent = urlencode(form.fields | typed | {"_method": "POST"})
        return staff.post(
            form.action, sent, content_type="application/x-www-form-urlencoded", headers={"Accept": "text/html"}
        )

    assert press().status_code == 400, "untouched it refunds nothing"
    content = json.dumps({"amount": "40.00", "reason": "late"})
    first, second = press(_content=content), press(_content=content)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second["Idempotent-Replayed"] == "true"
    assert ledger.done("refund") == [4000]
    assert Refund.objects.get().actor == "staff:root"
    assert Trail.objects.get(action="refund").actor == "staff:root"
    assert "staff:root" in staff.get("/admin/payments/refund/").content.decode()
    assert "staff:root" in staff.get("/admin/payments/trail/").content.decode()


class TestReviews:
    URL = "/admin/payments/payment/"

    @pytest.fixture
    def waiting(self, payments: Any, settings: Any) -> list[int]:
        settings.ECI_REVIEW_AMOUNT = 50
        for _ in range(2):
            with pytest.raises(PaymentUnknown):
                payments.authorise(
                    order_id=new_order_id(),
                    amount=Decimal(100),
                    currency="USD",
                    customer_id=7,
                    method="credit_card",
                    token="",
                    screened=True,
                )
        return list(Payment.objects.order_by("pk").values_list("pk", flat=True))

    def decide(self, staff: Client, form: Any, action: str, *chosen: int) -> str:
        sent = form.fields | {"action": action, "_selected_action": [str(pk) for pk in chosen]}
        return staff.post(self.URL, sent, follow=True).content.decode()

    def test_a_form_sent_twice_decides_once_and_says_so(self, staff: Client, waiting: list[int]) -> None:
        form = form_in(staff.get(self.URL).content.decode(), having="action")
        assert "2 of 2 payments" in self.decide(staff, form, "release", *waiting)
        assert "had been sent before" in self.decide(staff, form, "release", *waiting)
        assert "had been sent before" in self.decide(staff, form, "refuse", *waiting), "one form, one effect"
        assert {row.review for row in Payment.objects.all()} == {"released"}
        assert [line.actor for line in Trail.objects.all()] == ["staff:root"] * 2

    def test_of_two_people_the_first_decides_and_the_second_is_told(self, staff: Client, waiting: list[int]) -> None:
        other = Browser()
        other.force_login(get_user_model().objects.create_superuser("ann", password="not-used-here"))
        hers, his = (form_in(one.get(self.URL).content.decode(), having="action") for one in (other, staff))
        assert "1 of 1 payments" in self.decide(other, hers, "refuse", waiting[0])
        assert "1 of 2 payments" in self.decide(staff, his, "release", *waiting)
        decided = [(row.review, row.reviewed_by) for row in Payment.objects.order_by("pk")]
        assert decided == [("refused", "staff:ann"), ("released", "staff:root")]

    @pytest.mark.parametrize("chosen", ["nonsense", "9" * 30, "-1", "\x00", "1 OR 1=1"])
    def test_rows_that_cannot_be_decide_nothing(self, staff: Client, waiting: list[int], chosen: str) -> None:
        answer = staff.post(self.URL, {"action": "release", "_selected_action": [chosen]})
        assert answer.status_code < 500
        assert {row.review for row in Payment.objects.all()} == {"waiting"}

    @pytest.mark.parametrize("query", ["created_at__year=999999999999", "review=%00", "status=x", "q=%00", "o=9.9"])
    @pytest.mark.parametrize("page", ["payment", "refund", "paymentrequest", "trail"])
    def test_no_filter_breaks_a_list(self, staff: Client, page: str, query: str) -> None:
        assert staff.get(f"/admin/payments/{page}/?{query}").status_code < 500


def test_a_refund_in_the_admin(api: Any, staff: Client, ledger: Any) -> None:
    paid = api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00"}).data["payment_id"]
    url = f"/admin/payments/payment/{paid}/refund/"
    shown = staff.get(url).content.decode()
    assert "100.00 USD of this payment can be refunded" in shown
    form, late = form_in(shown, having="amount"), form_in(staff.get(url).content.decode(), having="amount")

    def press(form: Any, amount: str, reason: str = "dented") -> str:
        answer = staff.post(url, form.fields | {"amount": amount, "reason": reason}, follow=True)
        assert answer.status_code == 200
        return answer.content.decode()

    for wrong, told in (
        ("0", "more than zero"), ("-1", "must not be negative"), ("1.001", "decimal places"), ("", "required"),
        ("NaN", "An amount must be a number"), ("101", "100.00 USD can be refunded"), ("9" * 13, "at most 12 digits"),
        *((odd, "An amount must be a number") for odd in ("1_0", "\uff11", ".5", "1.", "x")),
    ):  # fmt: skip
        assert told in press(form, wrong), wrong
    elsewhere = form.fields | {"amount": "1", "reason": "dented", "_form_key": new_key(url.replace(str(paid), "999"))}
    for damage in (elsewhere, form.fields | {"amount": "1", "reason": "dented", f"_version-{paid}": ""}):
        assert "errornote" in staff.post(url, damage).content.decode()
    assert not Refund.objects.exists()
    assert "40.00 USD were refunded." in press(form, "40")
    assert "had been sent before" in press(form, "40")
    assert "This has changed since its page was opened" in press(late, "40")
    told = press(late, "40")
    assert "Refunded: now 40.00 USD, and 0.00 USD when the page was opened." in told
    again = form_in(told, having="amount")
    assert again.fields["amount"] == "40", "what was typed stays"
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.reason, refund.actor) == (4000, "dented", "staff:root")
    assert Trail.objects.get(action="refund").actor == "staff:root"
    assert "60.00 USD were refunded." in press(again, "60")
    assert "not as it is now" in staff.get(url, follow=True).content.decode()
    assert Payment.objects.get().refunded_minor == 10000


def test_a_refund_asks_an_old_session_who_it_is(api: Any, staff: Client, settings: Any) -> None:
    paid = api.post("/v1/payments/charge", {"order_id": "X", "amount": "100.00"}).data["payment_id"]
    url = f"/admin/payments/payment/{paid}/refund/"
    form = form_in(staff.get(url).content.decode(), having="amount")
    settings.ECI_OPEN = False
    session = staff.session
    session[staff_confirm.PROVED_AT] -= staff_confirm.FRESH
    session.save()
    wanted = form.fields | {"amount": "1", "reason": "dented"}
    asked = staff.post(url, wanted)
    assert (asked.status_code, Refund.objects.count()) == (403, 0)
    assert "Confirm that it is you" in asked.content.decode()
    kept = form_in(asked.content.decode(), having=staff_confirm.PASSWORD)
    done = staff.post(url, kept.fields | {staff_confirm.PASSWORD: "not-used-here"}, follow=True)
    assert "1.00 USD were refunded." in done.content.decode()
