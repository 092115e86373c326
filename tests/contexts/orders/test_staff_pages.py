"""Orders in the admin: found, shown whole, not to be edited; cancelled, and returned, by those who may."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from config.staff import groups
from contexts.orders import services
from contexts.orders.models import Trail
from tests.support import people
from tests.support.api import Api
from tests.support.pages import Browser, Form, form_in
from tests.support.shop import Shop


@pytest.fixture
def staff() -> Client:
    client = Browser()
    client.force_login(get_user_model().objects.create_superuser("boss", "boss@example.com", "secret-enough"))
    return client


def test_an_order_is_found_and_shown_with_its_lines(api: Api, staff: Client) -> None:
    shop = Shop.open(api)
    order_id = shop.order(2).data["order_id"]
    shop.order(1, product_id=shop.other_id)

    found = staff.get("/admin/orders/order/", {"q": "LAMP"}).content.decode()
    assert order_id in found
    assert "219.98 USD" in found
    assert found.count("ORD-") == found.count(order_id)

    page = staff.get(f"/admin/orders/order/{order_id}/change/").content.decode()
    for text in ("LAMP", "99.99 USD", "shipped", "SHIPPED"):
        assert text in page


def test_an_order_cannot_be_changed_added_or_deleted_by_hand(api: Api, staff: Client) -> None:
    shop = Shop.open(api)
    order_id = shop.order(2).data["order_id"]
    assert staff.post(f"/admin/orders/order/{order_id}/change/", {"total_minor": "1"}).status_code == 403
    assert staff.get("/admin/orders/order/add/").status_code == 403
    assert staff.post(f"/admin/orders/order/{order_id}/delete/", {"post": "yes"}).status_code == 403
    assert shop.read(order_id)["order_total"] == "219.98"


# -- commands ---------------------------------------------------------------------------------------------------------


def browser(group: str) -> Client:
    groups.make_groups()
    person = get_user_model().objects.create_user(f"{group}@shop.example", password="secret-enough", is_staff=True)
    person.groups.add(people.Group.objects.get(name=group))
    client = Browser()
    client.force_login(person)
    return client


@pytest.fixture
def support() -> Client:
    return browser("support staff")


def opened(client: Client, order_id: str, command: str) -> Form:
    return form_in(client.get(f"/admin/orders/order/{order_id}/{command}/").content.decode(), having="reason")


def sent(client: Client, order_id: str, command: str, form: Form, **typed: str) -> str:
    answer = client.post(f"/admin/orders/order/{order_id}/{command}/", form.fields | typed, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_support_staff_cancels_an_order(api: Api, support: Client) -> None:
    shop = Shop.open(api)
    order_id = shop.order(2, fulfilment="warehouse").data["order_id"]
    page = support.get(f"/admin/orders/order/{order_id}/change/").content.decode()
    assert "../cancel/" in page and "../return/" not in page
    form = opened(support, order_id, "cancel")
    assert "This field is required" in sent(support, order_id, "cancel", form)
    assert "Card numbers are never accepted" in sent(support, order_id, "cancel", form, reason="4111 1111 1111 1111")
    assert shop.read(order_id)["status"] == "CONFIRMED"
    assert "The order is cancelled." in sent(support, order_id, "cancel", form, reason="changed her mind")
    order = shop.read(order_id)
    assert (order["status"], order["payment_status"], shop.stock()) == ("CANCELLED", "REFUNDED", (100, 0, 100))
    assert {"staff:support staff@shop.example"} <= {entry["actor"] for entry in order["timeline"]}
    line = Trail.objects.get(thing=f"order:{order_id}")
    assert (line.actor, line.action) == ("staff:support staff@shop.example", "cancelled")
    assert "had been sent before" in sent(support, order_id, "cancel", form, reason="changed her mind")
    assert "not as it is now" in support.get(f"/admin/orders/order/{order_id}/cancel/", follow=True).content.decode()


def test_a_late_command_must_be_asked_for_again(api: Api, support: Client, staff: Client) -> None:
    shop = Shop.open(api)
    order_id = shop.order(2).data["order_id"]
    late, units = opened(staff, order_id, "return"), f"units_{shop.product_id}"
    first = opened(support, order_id, "return")
    assert "Say how many units are back" in sent(support, order_id, "return", first, reason="worn")
    assert "less than or equal to 2" in sent(support, order_id, "return", first, reason="worn", **{units: "3"})
    done = sent(support, order_id, "return", first, reason="worn", disposition="damaged", **{units: "1"})
    assert "is registered, and 104.99 USD were refunded." in done
    told = sent(staff, order_id, "return", late, reason="worn", **{units: "1"})
    assert "This has changed since its page was opened" in told
    again = form_in(told, having="reason")
    assert (again.fields[units], again.fields["reason"]) == ("1", "worn"), "what was typed stays"
    assert [item["returned_quantity"] for item in shop.read(order_id)["items"]] == [1]
    assert "is registered" in sent(staff, order_id, "return", again, reason="worn", **{units: "1"})
    order = shop.read(order_id)
    assert ([one["actor"] for one in order["returns"]], order["status"]) == (
        ["staff:support staff@shop.example", "staff:boss"],
        "RETURNED",
    )
    assert shop.stock() == (99, 0, 99)


def test_what_a_customer_asked_to_return_is_received_or_refused(api: Api, support: Client, staff: Client) -> None:
    shop = Shop.open(api)
    order_id = shop.order(3).data["order_id"]
    assert "not as it is now" in support.get(f"/admin/orders/order/{order_id}/receive/", follow=True).content.decode()
    for units, reason in ((1, "too small"), (2, "too big")):
        services.request_return(
            order_id=order_id, wanted={shop.product_id: units}, reason=reason, actor=f"customer:{shop.customer_id}"
        )

    def opened(client: Client, command: str) -> Form:
        page = client.get(f"/admin/orders/order/{order_id}/{command}/").content.decode()
        return form_in(page, having="return_id")

    form, late = opened(support, "receive"), opened(staff, "refuse")
    first = form.choices["return_id"][0]
    done = sent(support, order_id, "receive", form, return_id=first, disposition="damaged")
    assert "is registered, and 104.99 USD were refunded." in done
    assert "had been sent before" in sent(support, order_id, "receive", form, return_id=first, disposition="damaged")
    assert "Select a valid choice" in sent(staff, order_id, "refuse", late, return_id=first, reason="worn")
    [second] = opened(staff, "refuse").choices["return_id"]
    assert "is refused" in sent(staff, order_id, "refuse", opened(staff, "refuse"), return_id=second, reason="worn")
    order = shop.read(order_id)
    assert {(one["status"], one["answered_by"]) for one in order["returns"]} == {
        ("RECEIVED", "staff:support staff@shop.example"),
        ("REFUSED", "staff:boss"),
    }
    assert shop.stock() == (97, 0, 97)


def test_whoever_may_not_change_orders_is_offered_nothing(api: Api) -> None:
    order_id = Shop.open(api).order(2).data["order_id"]
    other = browser("stock staff")
    for command in ("cancel", "return", "receive", "refuse"):
        assert other.get(f"/admin/orders/order/{order_id}/{command}/").status_code == 403
        assert other.post(f"/admin/orders/order/{order_id}/{command}/", {"reason": "x"}).status_code == 403
    support = browser("support staff")
    for nothing in ("ORD-NONE", "a%00b", "_2F"):
        assert support.get(f"/admin/orders/order/{nothing}/cancel/", follow=True).status_code == 200
    damaged = {"reason": "x", f"_version-{order_id}": "x"}
    assert "This has changed" in support.post(f"/admin/orders/order/{order_id}/cancel/", damaged).content.decode()
