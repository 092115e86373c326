"""A notification is sent again: a new one that names the old, once for each form, to the address one wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from config.books import checkup
from contexts.notifications import services
from contexts.notifications.models import Notification, Trail
from contexts.notifications.public.api import notifications
from contexts.orders.models import Order
from eci.errors import InvalidRequest, InvalidTransition
from tests.support.pages import Form, form_in
from tests.support.shop import Shop


@pytest.fixture
def support(member: Callable[[str], Client]) -> Client:
    return member("support staff")


def page_of(client: Client, notification_id: int) -> tuple[str, Form]:
    url = f"/staff/notifications/{notification_id}/again"
    return url, form_in(client.get(url).content.decode(), having="reason")


def test_what_was_sent_is_sent_again_to_the_buyer_s_address_of_now(shop: Shop, support: Client) -> None:
    order_id = shop.order(1).data["order_id"]
    shop.api.settle()
    [old] = Notification.objects.filter(kind="order_confirmation")
    sheet = support.get(f"/staff/orders/{order_id}").content.decode()
    url, form = page_of(support, old.pk)
    assert f'href="{url}">Send again' in sheet
    shop.api.patch(f"/v1/customers/{shop.customer_id}", {"metadata": {"seen": "yes"}})
    assert "This field is required" in support.post(url, form.fields).content.decode()
    assert "Say the reason in words" in support.post(url, form.fields | {"reason": "other"}).content.decode()
    typed = form.fields | {"reason": "it never arrived"}
    assert support.post(url, typed)["Location"] == f"/staff/orders/{order_id}"
    told = support.post(url, typed | {"reason": "other", "words": "again"}, follow=True).content.decode()
    assert "had been sent before" in told and Notification.objects.filter(again_of=old).count() == 1
    before = len(mail.outbox)
    shop.api.settle()
    [sent] = mail.outbox[before:]
    [first] = [one for one in mail.outbox[:before] if one.subject == sent.subject]
    assert (sent.to, sent.body) == (["ann@example.com"], first.body)
    new = Notification.objects.get(again_of=old)
    assert (new.status, new.reason, new.actor) == ("SENT", "it never arrived", "staff:support staff@example.com")
    assert Notification.objects.get(pk=old.pk).status == "SENT", "the old one stays as it was"
    assert Trail.objects.get().after == {"notification": new.pk, "readdressed": False}
    page = support.get(f"/staff/orders/{order_id}")
    assert "order confirmation queued again" in page.content.decode()


def test_what_failed_is_sent_to_a_corrected_address(shop: Shop, support: Client) -> None:
    order_id = shop.order(1).data["order_id"]
    shop.api.settle()
    [old] = Notification.objects.filter(kind="order_confirmation")
    Notification.objects.filter(pk=old.pk).update(status="FAILED")
    assert "Correct the address and send again" in support.get(f"/staff/orders/{order_id}").content.decode()
    url, form = page_of(support, old.pk)
    assert form.fields["reason"] == "the address was wrong"
    wrong = support.post(url, form.fields | {"recipient": "ann at example"}).content.decode()
    assert "neither an e-mail address nor a phone number" in wrong and "ann at example" in wrong
    before = len(mail.outbox)
    assert support.post(url, form.fields | {"recipient": "ann@right.example"}).status_code == 302
    shop.api.settle()
    assert [one.to for one in mail.outbox[before:]] == [["ann@right.example"]]
    new = Notification.objects.get(again_of=old)
    assert (new.customer_id, new.recipient, new.readdressed) == (shop.customer_id, "ann@right.example", True)


def test_some_cannot_be_sent_again(shop: Shop, support: Client, member: Callable[[str], Client]) -> None:
    shop.api.post("/v1/users/password/reset", {"email": "ann@example.com"})
    who: dict[str, Any] = {"reason": "x", "actor": "staff:ann"}
    shop.api.settle()
    [secret] = Notification.objects.filter(kind="password_reset")
    with pytest.raises(InvalidTransition, match="asks for a new one"):
        notifications.send_again(notification_id=secret.pk, key="1", **who)
    shop.order(1)
    shop.api.settle()
    told = Notification.objects.filter(kind="order_confirmation")
    told.update(status="QUEUED")
    with pytest.raises(InvalidTransition, match="not been sent yet"):
        notifications.send_again(notification_id=told.get().pk, key="2", **who)
    Notification.objects.filter(pk=secret.pk).update(kind="login_ended")
    with pytest.raises(InvalidRequest, match="address of that account"):
        notifications.send_again(notification_id=secret.pk, key="3", recipient="thief@example.com", **who)
    assert not Notification.objects.exclude(again_of=None).exists()
    assert member("stock staff").get(f"/staff/notifications/{secret.pk}/again").status_code == 403
    assert "no such notification" in support.get("/staff/notifications/999999/again", follow=True).content.decode()


def test_erasing_spares_others_whose_address_staff_gave(shop: Shop) -> None:
    items = [{"product_id": shop.product_id, "quantity": 1}]
    shop.api.post("/v1/orders", {"email": "guest@example.com", "items": items})
    shop.order(1)
    shop.api.settle()
    [hers] = Notification.objects.filter(kind="order_confirmation", customer_id=shop.customer_id)
    who: dict[str, Any] = {"reason": "she asks", "actor": "staff:ann", "recipient": "guest@example.com"}
    notifications.send_again(notification_id=hers.pk, key="1", **who)
    shop.api.settle()
    services.erase_customer(customer_id=shop.customer_id, email_digest="")
    assert Notification.objects.filter(recipient="guest@example.com", customer_id=None).exists()
    again = Notification.objects.get(again_of=hers)
    assert (again.recipient, again.message, again.reason) == ("", "", "")


def test_problems_lead_to_the_form_that_mends_them(shop: Shop, support: Client) -> None:
    order_id = shop.order(1, fulfilment="warehouse").data["order_id"]
    shop.api.settle()
    [notice] = Notification.objects.all()
    Notification.objects.update(status="FAILED")
    Order.objects.update(needs_attention=True)
    checkup.check_up()
    page = support.get("/staff/reconcile").content.decode()
    assert f'href="/staff/orders/{order_id}"' in page
    link = f"/staff/notifications/{notice.pk}/again"
    assert f'href="{link}"' in page and support.get(link).status_code == 200
