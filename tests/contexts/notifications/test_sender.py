"""The sender: whom it asks, what it sends, and what it does when it can't."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.core import mail

from contexts.notifications import services, workflows
from contexts.notifications.domain import Kind
from contexts.notifications.models import Attempt, Notification
from contexts.notifications.public.contracts import Channel
from eci.clock import utcnow
from eci.errors import ContextUnavailable


def queue(order_id: str = "ORD-1", kind: Kind = Kind.ORDER_CONFIRMATION) -> Notification:
    facts = {"order_total": "19.99", "currency": "USD", "carrier": "standard", "tracking_no": "ECI1", "amount": "1.00"}
    services.queue_notice(kind=kind, order_id=order_id, reference=order_id, facts=facts)
    return Notification.objects.get(dedupe_key=f"{kind}:{order_id}")


def queue_to(recipient: str, channel: Channel = Channel.EMAIL) -> Notification:
    row = services.queue_message(
        kind=str(channel), channel=channel, recipient=recipient, subject="Hello", message="How are you?", order_id=""
    )
    return Notification.objects.get(pk=row["notification_id"])


def due_now() -> None:
    Notification.objects.update(next_at=utcnow() - timedelta(seconds=1))


def log_of(notice: Notification) -> list[tuple[bool, str]]:
    return list(Attempt.objects.filter(notification=notice).order_by("pk").values_list("ok", "answer"))


def test_a_guests_notice_goes_to_the_address_of_the_order(others: Any) -> None:
    others.guest("ORD-1", "guest@example.com")
    notice = queue()

    assert workflows.send_due() == 1

    (sent,) = mail.outbox
    assert sent.to == ["guest@example.com"]
    assert "ORD-1" in sent.subject
    assert "19.99 USD" in sent.body
    assert sent.extra_headers["Message-ID"] == f"<notification-{notice.pk}-{notice.nonce}@example.com>"
    assert len(notice.nonce) == 16, "an id is given out again after a restore, this is not"
    notice.refresh_from_db()
    assert (notice.status, notice.recipient, notice.attempts) == ("SENT", "guest@example.com", 1)
    assert notice.message == sent.body
    assert log_of(notice) == [(True, "Accepted.")]


def test_a_customers_notice_goes_to_the_address_they_have_now(others: Any) -> None:
    others.buyer("ORD-1", email="old@example.com")
    queue()
    others.buyer("ORD-1", email="new@example.com")

    workflows.send_due()

    assert mail.outbox[0].to == ["new@example.com"]


def test_a_customer_without_e_mail_gets_an_sms(others: Any) -> None:
    others.buyer("ORD-1", email="", phone="+15551234567")
    notice = queue()

    assert workflows.send_due() == 1

    notice.refresh_from_db()
    assert (notice.channel, notice.recipient, notice.status) == ("sms", "+15551234567", "SENT")
    assert mail.outbox == []


def test_what_was_sent_is_not_sent_again(others: Any) -> None:
    others.guest("ORD-1")
    queue()
    workflows.send_due()
    due_now()

    assert workflows.send_due() == 0
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("know", [lambda others: None, lambda others: others.guest("ORD-1", "")])
def test_a_recipient_that_is_gone_suppresses_the_notice(others: Any, know: Any) -> None:
    know(others)
    notice = queue()

    assert workflows.send_due() == 0

    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("SUPPRESSED", 1)
    assert [ok for ok, _ in log_of(notice)] == [False]


def test_an_erased_customer_suppresses_the_notice(others: Any) -> None:
    others.buyer("ORD-1")
    others.people.clear()
    notice = queue()

    workflows.send_due()

    notice.refresh_from_db()
    assert notice.status == "SUPPRESSED"


def test_a_notice_waits_while_orders_is_away(others: Any) -> None:
    others.guest("ORD-1")
    others.away = True
    notice = queue()

    assert workflows.send_due() == 0

    notice.refresh_from_db()
    assert notice.status == "QUEUED"
    assert timedelta(seconds=3) < notice.next_at - utcnow() <= timedelta(seconds=5)
    assert ContextUnavailable.__name__ in log_of(notice)[0][1]
    assert workflows.send_due() == 0  # not before it is due
    assert len(log_of(notice)) == 1

    others.away = False
    due_now()
    assert workflows.send_due() == 1
    assert [ok for ok, _ in log_of(notice)] == [False, True]


def test_after_eight_tries_a_notice_is_given_up_and_may_be_queued_again(others: Any) -> None:
    others.guest("ORD-1")
    others.away = True
    notice = queue()
    for _ in range(8):
        notice.refresh_from_db()
        assert notice.status == "QUEUED"
        due_now()
        workflows.send_due()

    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("FAILED", 8)
    services.queue_again(notification_id=notice.pk)
    workflows.send_due()
    notice.refresh_from_db()
    assert (notice.status, notice.attempts, notice.tries) == ("QUEUED", 9, 1)


def test_one_bad_notice_stops_no_other(others: Any) -> None:
    others.guest("ORD-1")
    others.guest("ORD-2")
    bad = queue("ORD-1")
    Notification.objects.filter(pk=bad.pk).update(kind="nonsense")
    queue("ORD-2")

    assert workflows.send_due() == 1

    bad.refresh_from_db()
    assert (bad.status, bad.attempts) == ("QUEUED", 1)


def test_a_backlog_of_several_batches_is_sent_in_one_round(others: Any) -> None:
    for number in range(services.BATCH + 10):
        queue_to(f"reader{number}@example.com")

    assert workflows.send_due() == services.BATCH + 10


def test_what_another_sender_has_leased_is_left_to_it_until_its_lease_runs_out(others: Any) -> None:
    others.guest("ORD-1")
    notice = queue()
    (claimed,) = services.claim_due(owner="crashed")
    assert claimed.pk == notice.pk
    assert services.begin_attempt(notification_id=notice.pk, owner="crashed")

    assert workflows.send_due() == 0

    Notification.objects.update(lease_until=utcnow() - timedelta(seconds=1))
    assert workflows.send_due() == 1
    assert [ok for ok, _ in log_of(notice)] == [False, True]


def test_a_sender_whose_lease_ran_out_neither_begins_nor_overwrites(others: Any) -> None:
    others.guest("ORD-1")
    notice = queue()
    (late,) = services.claim_due(owner="slow")
    attempt = services.begin_attempt(notification_id=notice.pk, owner="slow")
    assert attempt is not None
    Notification.objects.update(lease_until=utcnow() - timedelta(seconds=1))
    assert services.begin_attempt(notification_id=notice.pk, owner="slow") is None
    workflows.send_due()

    services.finish_attempt(attempt_id=attempt, notice=late, status=workflows.NotificationStatus.FAILED, answer="late")

    notice.refresh_from_db()
    assert notice.status == "SENT"


def test_an_unused_lease_can_be_handed_back(others: Any) -> None:
    others.guest("ORD-1")
    queue()
    services.claim_due(owner="leaving")

    services.hand_back(owner="leaving")

    assert workflows.send_due() == 1


def test_a_round_begins_nothing_more_when_its_time_is_up(others: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    others.guest("ORD-1")
    queue()
    monkeypatch.setattr(workflows, "ROUND", -1.0)

    assert workflows.send_due() == 0

    monkeypatch.undo()
    assert workflows.send_due() == 1


def test_a_line_break_in_a_subject_makes_no_header(others: Any) -> None:
    notice = queue_to("reader@example.com")
    Notification.objects.filter(pk=notice.pk).update(subject="Hello\nBcc: other@example.com")

    assert workflows.send_due() == 1

    assert mail.outbox[0].message()["Bcc"] is None
    assert mail.outbox[0].recipients() == ["reader@example.com"]


# -- over a real mail server ------------------------------------------------------------------------------------------


class Postbox:
    """A mail server that answers RCPT as it is told, and keeps what it accepts."""

    def __init__(self) -> None:
        self.replies: list[str] = []
        self.letters: list[Any] = []
        self.connections = 0

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> Any:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        reply = self.replies.pop(0) if self.replies else "250 OK"
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 Message accepted"


@pytest.fixture
def postbox(settings: Any) -> Iterator[Postbox]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    controller.start()
    yield box
    controller.stop()


def test_letters_arrive_at_a_mail_server_over_one_connection(others: Any, postbox: Postbox) -> None:
    first, second = queue_to("reader@example.com"), queue_to("other@example.com")

    assert workflows.send_due() == 2

    assert [recipients for recipients, _ in postbox.letters] == [["reader@example.com"], ["other@example.com"]]
    letter = postbox.letters[0][1]
    assert (letter["Subject"], letter["To"]) == ("Hello", "reader@example.com")
    assert letter["Message-ID"] == f"<notification-{first.pk}-{first.nonce}@example.com>"
    assert letter.get_payload().strip() == "How are you?"
    assert postbox.connections == 1
    assert log_of(second) == [(True, "Accepted.")]


def test_a_refusal_for_now_is_tried_again(others: Any, postbox: Postbox) -> None:
    postbox.replies = ["451 Greylisted, try later"]
    notice = queue_to("reader@example.com")

    assert workflows.send_due() == 0
    notice.refresh_from_db()
    assert notice.status == "QUEUED"
    assert log_of(notice) == [(False, "The mail server answered 451 Greylisted, try later")]

    due_now()
    assert workflows.send_due() == 1
    assert len(postbox.letters) == 1


def test_a_refusal_for_good_is_not_tried_again_and_stops_no_other(others: Any, postbox: Postbox) -> None:
    postbox.replies = ["550 No such mailbox"]
    refused, accepted = queue_to("nobody@example.com"), queue_to("reader@example.com")

    assert workflows.send_due() == 1

    refused.refresh_from_db()
    accepted.refresh_from_db()
    assert (refused.status, refused.attempts, accepted.status) == ("FAILED", 1, "SENT")
    assert log_of(refused) == [(False, "The mail server answered 550 No such mailbox")]


def test_a_mail_server_that_is_away_is_waited_for(others: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    notice = queue_to("reader@example.com")

    assert workflows.send_due() == 0

    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("QUEUED", 1)
    assert log_of(notice) == [(False, "The mail server cannot be reached: ConnectionRefusedError.")]
