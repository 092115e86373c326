"""Notifications over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.notifications import workflows
from contexts.notifications.models import Notification, Trail
from tests.support.people import staff

BODY = {"type": "email", "recipient": "reader@example.com", "subject": "Hello", "message": "How are you?"}


def test_a_notification_is_queued_and_later_sent(api: Any, others: Any) -> None:
    answer = api.post("/v1/notifications", BODY | {"order_id": 1001})

    assert answer.status == 201
    made = answer.data
    assert made == {
        "notification_id": made["notification_id"],
        "type": "email",
        "channel": "email",
        "recipient": "reader@example.com",
        "subject": "Hello",
        "message": "How are you?",
        "status": "QUEUED",
        "order_id": "1001",
        "actor": "open",
        "attempts": 0,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    path = f"/v1/notifications/{made['notification_id']}"
    assert api.get(path).data == made | {"attempts_log": []}

    workflows.send_due()

    sent = api.get(path).data
    assert (sent["status"], sent["attempts"]) == ("SENT", 1)
    assert [(entry["ok"], entry["answer"], entry["at"][-1]) for entry in sent["attempts_log"]] == [
        (True, "Accepted.", "Z")
    ]


@pytest.mark.parametrize(
    ("given", "recipient", "channel"),
    [
        ("email", "reader@example.com", "email"),
        ("sms", "+1 (555) 123-4567", "sms"),
        ("order_confirmation", "reader@example.com", "email"),
        ("order_confirmation", "+15551234567", "sms"),
        ("PROMO-2026", "reader@example.com", "email"),
        ("sms", "030/123 45-67 ext 9", "sms"),
    ],
)
def test_the_type_is_the_channel_or_the_kind(api: Any, given: str, recipient: str, channel: str) -> None:
    made = api.post("/v1/notifications", {"type": given, "recipient": recipient, "message": "Hi"}).data

    assert (made["type"], made["channel"], made["recipient"]) == (given, channel, recipient)
    assert made["order_id"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "sms"}, "recipient"),
        ({"recipient": "+15551234567"}, "recipient"),
        ({"recipient": "reader"}, "recipient"),
        ({"recipient": "reader@example.com\nBcc: other@example.com"}, "recipient"),
        ({"recipient": "a@example.com, b@example.com"}, "recipient"),
        ({"recipient": None}, "recipient"),
        ({"type": "two words"}, "type"),
        ({"type": "x" * 41}, "type"),
        ({"type": 7}, "type"),
        ({"subject": "Hello\r\nBcc: other@example.com"}, "subject"),
        ({"subject": "Hello\u2028you"}, "subject"),
        ({"recipient": "kırk@example.com"}, "recipient"),
        ({"recipient": '"a b"@example.com'}, "recipient"),
        ({"type": "sms", "recipient": "1234"}, "recipient"),
        ({"message": "a\x07b"}, "message"),
        ({"message": "\u200b"}, "message"),
        ({"subject": "x" * 201}, "subject"),
        ({"message": "  \n "}, "message"),
        ({"message": "x" * 10_001}, "message"),
        ({"message": ["Hi"]}, "message"),
        ({"order_id": ""}, "order_id"),
    ],
)
def test_a_malformed_notification_is_refused_by_field(api: Any, change: dict[str, Any], field: str) -> None:
    answer = api.post("/v1/notifications", BODY | change)

    assert (answer.status, answer.code) == (400, "validation_error")
    assert list(answer.details) == [field]
    assert not Notification.objects.exists()


@pytest.mark.parametrize("given", ["reader@straße.de", "reader@Straße.DE ", "reader@xn--strae-oqa.de"])
def test_one_mailbox_has_one_spelling(api: Any, given: str) -> None:
    """K5"""
    made = api.post("/v1/notifications", BODY | {"recipient": given}).data

    assert made["recipient"] == "reader@xn--strae-oqa.de"
    assert [row["notification_id"] for row in api.get("/v1/notifications?recipient=reader@straße.de").data] == [
        made["notification_id"]
    ]
    assert len(api.get("/v1/notifications?recipient=Reader@STRAßE.de").data) == 1


def test_outer_space_and_line_breaks_in_messages_are_fine(api: Any) -> None:
    made = api.post("/v1/notifications", BODY | {"subject": " Hello\n", "message": " one\r\ntwo "}).data

    assert (made["subject"], made["message"]) == ("Hello", "one\ntwo")


@pytest.mark.parametrize("field", ["type", "recipient", "message"])
def test_what_a_notification_needs_is_required(api: Any, field: str) -> None:
    answer = api.post("/v1/notifications", {name: value for name, value in BODY.items() if name != field})

    assert (answer.status, list(answer.details)) == (400, [field])


def test_a_key_queues_one_notification(api: Any) -> None:
    first = api.post("/v1/notifications", BODY, key="k")
    again = api.post("/v1/notifications", BODY, key="k")
    other = api.post("/v1/notifications", BODY | {"message": "Bye"}, key="k")

    assert (again.status, again.data, again.headers["Idempotent-Replayed"]) == (201, first.data, "true")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert Notification.objects.count() == 1


def test_an_order_of_ours_must_exist(api: Any, others: Any) -> None:
    others.guest("ORD-1")

    assert api.post("/v1/notifications", BODY | {"order_id": "ORD-1"}).data["order_id"] == "ORD-1"
    unknown = api.post("/v1/notifications", BODY | {"order_id": "ORD-2"})
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert Notification.objects.count() == 1


def test_the_list_is_filtered_paged_and_newest_first(api: Any) -> None:
    for number in range(5):
        body = {"recipient": f"reader{number % 2}@example.com", "order_id": f"EXT-{number}"}
        assert api.post("/v1/notifications", BODY | body).status == 201
    Notification.objects.filter(order_id="EXT-4").update(status="FAILED")

    def orders_at(path: str) -> list[str]:
        return [row["order_id"] for row in api.get(path).data]

    first = api.get("/v1/notifications?limit=2")
    assert [row["order_id"] for row in first.data] == ["EXT-4", "EXT-3"]
    assert orders_at(first.json["meta"]["next"].replace("http://testserver", "")) == ["EXT-2", "EXT-1"]
    assert orders_at("/v1/notifications?recipient=reader1@example.com") == ["EXT-3", "EXT-1"]
    assert orders_at("/v1/notifications?order_id=EXT-2") == ["EXT-2"]
    assert orders_at("/v1/notifications?status=FAILED") == ["EXT-4"]


@pytest.mark.parametrize("query", ["status=NEW", "limit=0", "cursor=x", "kind=email"])
def test_a_malformed_query_is_refused(api: Any, query: str) -> None:
    assert api.get(f"/v1/notifications?{query}").status == 400


@pytest.mark.parametrize("status", ["FAILED", "SUPPRESSED"])
def test_what_was_given_up_can_be_queued_again(api: Any, others: Any, status: str) -> None:
    made = api.post("/v1/notifications", BODY).data
    Notification.objects.update(status=status)

    again = api.post(f"/v1/notifications/{made['notification_id']}/retry")

    assert (again.status, again.data["status"]) == (200, "QUEUED")
    assert workflows.send_due() == 1


def test_who_wrote_one_and_who_sent_it_again_is_kept(api: Any, settings: Any) -> None:
    support, stock = staff("P"), staff("S")
    settings.ECI_OPEN = False
    made = support.post("/v1/notifications", BODY).data
    assert made["actor"] == "staff:p@shop.example"
    Notification.objects.update(status="FAILED")

    path = f"/v1/notifications/{made['notification_id']}"
    assert stock.post(f"{path}/retry", {}).data["actor"] == "staff:s@shop.example"
    assert support.get(path).data["actor"] == "staff:s@shop.example"
    lines = [(line.actor, line.action, line.thing) for line in Trail.objects.order_by("pk")]
    thing = f"notification:{made['notification_id']}"
    assert lines == [("staff:p@shop.example", "created", thing), ("staff:s@shop.example", "queued again", thing)]


def test_a_waiting_notification_can_be_sent_now(api: Any, others: Any) -> None:
    others.guest("ORD-1")
    made = api.post("/v1/notifications", BODY | {"order_id": "ORD-1"}).data
    Notification.objects.update(next_at="2999-01-01T00:00:00Z")
    assert workflows.send_due() == 0

    again = api.post(f"/v1/notifications/{made['notification_id']}/retry", {})

    assert (again.status, again.data["status"]) == (200, "QUEUED")
    assert workflows.send_due() == 1


def test_what_was_sent_is_not_sent_again(api: Any, others: Any) -> None:
    made = api.post("/v1/notifications", BODY).data
    workflows.send_due()

    refused = api.post(f"/v1/notifications/{made['notification_id']}/retry")

    assert (refused.status, refused.code) == (409, "already_sent")
    assert workflows.send_due() == 0


class TestAgain:
    def sent(self, api: Any, **more: Any) -> str:
        made = api.post("/v1/notifications", BODY | more).data
        workflows.send_due()
        return f"/v1/notifications/{made['notification_id']}/again"

    def test_a_new_one_repeats_what_was_sent(self, api: Any, others: Any) -> None:
        path = self.sent(api)
        again = api.post(path, {"reason": "it never arrived"})
        assert (again.status, again.data["status"]) == (201, "QUEUED")
        assert (again.data["recipient"], again.data["message"]) == (BODY["recipient"], BODY["message"])
        kept = Notification.objects.get(pk=again.data["notification_id"])
        assert (kept.reason, str(kept.again_of_id)) == ("it never arrived", path.split("/")[3])
        assert workflows.send_due() == 1

    def test_goes_to_another_address_once_for_its_key(self, api: Any, others: Any) -> None:
        path = self.sent(api)
        body = {"reason": "wrong address", "recipient": " BOB@straße.de "}
        first, second = (api.post(path, body, key="k") for _ in range(2))
        assert first.data["recipient"] == "BOB@xn--strae-oqa.de"
        assert first.data == second.data and second.headers["Idempotent-Replayed"] == "true"
        assert api.post(path, body | {"reason": "other"}, key="k").status == 422
        assert Notification.objects.count() == 2

    @pytest.mark.parametrize(
        "body",
        [{}, {"reason": ""}, {"reason": "x" * 301}, {"reason": "x", "recipient": "nobody"}]
        + [{"reason": "4111 1111 1111 1111"}, {"reason": 7}, {"reason": "x", "recipient": ""}, {"reason": "a\x00"}],
    )
    def test_bad_input_has_no_effect(self, api: Any, others: Any, body: dict[str, Any]) -> None:
        assert api.post(self.sent(api), body).status == 400
        assert Notification.objects.count() == 1

    def test_what_is_queued_cannot_be_sent_again(self, api: Any, others: Any) -> None:
        made = api.post("/v1/notifications", BODY).data
        refused = api.post(f"/v1/notifications/{made['notification_id']}/again", {"reason": "x"})
        assert (refused.status, refused.code) == (409, "invalid_transition")

    def test_is_for_support_staff(self, api: Any, others: Any, settings: Any) -> None:
        support, stock = staff("P"), staff("S")
        path = self.sent(api)
        settings.ECI_OPEN = False
        assert stock.post(path, {"reason": "x"}).status == 403
        assert support.post(path, {"reason": "x"}).data["actor"] == "staff:p@shop.example"
        assert Trail.objects.latest("pk").action == "sent again"


def test_an_unknown_notification_is_a_404(api: Any) -> None:
    assert api.get("/v1/notifications/999999").status == 404
    assert api.post("/v1/notifications/999999/retry").status == 404


def test_nobody_but_staff_and_services_may(api: Any, settings: Any) -> None:
    settings.ECI_OPEN = False

    assert api.get("/v1/notifications").status == 401
    assert api.post("/v1/notifications", BODY).status == 401
    assert api.get("/v1/notifications/1").status == 401
    assert api.post("/v1/notifications/1/retry").status == 401
