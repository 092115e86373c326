"""The sender: which address it uses, what it sends, and what it does after a failure."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.db import DataError, connections

from contexts.customers.public.contracts import Customer
from contexts.notifications import domain, services, workflows
from contexts.notifications.adapters import NotDelivered
from contexts.notifications.adapters.email import Mailer
from contexts.notifications.domain import Kind
from contexts.notifications.models import Attempt, Notification
from contexts.notifications.public.contracts import Channel
from contexts.orders.public.contracts import Recipient
from eci.clock import utcnow


def refuse(*args: Any, **mail: Any) -> None:
    raise NotDelivered("451 try again", permanent=False)


def queue(order_id: str = "ORD-1", kind: Kind = Kind.ORDER_CONFIRMATION) -> Notification:
    facts = {"order_total": "19.99", "currency": "USD", "carrier": "standard", "tracking_no": "ECI1", "amount": "1.00"}
    services.queue_shop_notification(kind=kind, order_id=order_id, reference=order_id, facts=facts)
    return Notification.objects.get(dedupe_key=f"{kind}:{order_id}")


def queue_to(recipient: str, channel: Channel = Channel.EMAIL) -> Notification:
    row = services.queue_written_notification(
        kind=str(channel),
        channel=channel,
        recipient=recipient,
        subject="Hello",
        message="How are you?",
        order_id="",
        actor="staff:ann",
    )
    return Notification.objects.get(pk=row["notification_id"])


def due_now() -> None:
    Notification.objects.update(next_at=utcnow() - timedelta(seconds=1))


def log_of(notification: Notification) -> list[tuple[bool, str]]:
    return list(Attempt.objects.filter(notification=notification).order_by("pk").values_list("ok", "answer"))


def test_a_guests_notification_goes_to_the_address_of_the_order(others: Any) -> None:
    others.guest("ORD-1", "guest@example.com")
    notification = queue()

    assert workflows.send_due() == 1

    (sent,) = mail.outbox
    assert sent.to == ["guest@example.com"]
    assert "ORD-1" in sent.subject
    assert "19.99 USD" in sent.body
    assert sent.extra_headers["Message-ID"] == f"<notification-{notification.pk}-{notification.nonce}@example.com>"
    assert len(notification.nonce) == 16, "an id is given out again after a restore, this is not"
    notification.refresh_from_db()
    assert (notification.status, notification.recipient, notification.attempts) == ("SENT", "guest@example.com", 1)
    assert notification.message == sent.body
    assert log_of(notification) == [(True, "Accepted.")]


def test_a_customers_notification_goes_to_the_address_they_have_now(others: Any) -> None:
    others.buyer("ORD-1", email="old@example.com")
    queue()
    others.buyer("ORD-1", email="new@example.com")

    workflows.send_due()

    assert mail.outbox[0].to == ["new@example.com"]


def test_a_customer_without_e_mail_gets_an_sms(others: Any) -> None:
    others.buyer("ORD-1", email="", phone="+15551234567")
    notification = queue()

    assert workflows.send_due() == 1

    notification.refresh_from_db()
    assert (notification.channel, notification.recipient, notification.status) == ("sms", "+15551234567", "SENT")
    assert mail.outbox == []


def test_what_was_sent_is_not_sent_again(others: Any) -> None:
    others.guest("ORD-1")
    queue()
    workflows.send_due()
    due_now()

    assert workflows.send_due() == 0
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("know", [lambda others: None, lambda others: others.guest("ORD-1", "")])
def test_a_recipient_that_is_gone_suppresses_the_notification(others: Any, know: Any) -> None:
    know(others)
    notification = queue()

    assert workflows.send_due() == 0

    notification.refresh_from_db()
    assert (notification.status, notification.attempts) == ("SUPPRESSED", 1)
    assert [ok for ok, _ in log_of(notification)] == [False]


def test_an_erased_customer_suppresses_the_notification(others: Any) -> None:
    others.buyer("ORD-1")
    others.people.clear()
    notification = queue()

    workflows.send_due()

    notification.refresh_from_db()
    assert notification.status == "SUPPRESSED"


def test_a_notification_waits_while_orders_is_away(others: Any) -> None:
    others.guest("ORD-1")
    others.away = True
    notification = queue()

    assert workflows.send_due() == 0

    notification.refresh_from_db()
    assert notification.status == "QUEUED"
    assert timedelta(seconds=3) < notification.next_at - utcnow() <= timedelta(seconds=5)
    assert workflows.send_due() == 0  # not before it is due
    for _ in range(20):
        due_now()
        workflows.send_due()
    notification.refresh_from_db()
    assert notification.status == "QUEUED", "it is not given up, however long orders is away"
    assert timedelta(seconds=3) < notification.next_at - utcnow() <= timedelta(seconds=5)
    assert (notification.attempts, log_of(notification)) == (0, []), "nobody was asked to take it"

    others.away = False
    due_now()
    assert workflows.send_due() == 1
    assert [ok for ok, _ in log_of(notification)] == [True]


def test_after_eight_tries_a_notification_is_given_up_and_may_be_queued_again(
    others: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    others.guest("ORD-1")
    monkeypatch.setattr(workflows.Mailer, "send", refuse)
    notification = queue()
    for _ in range(8):
        notification.refresh_from_db()
        assert notification.status == "QUEUED"
        due_now()
        workflows.send_due()

    notification.refresh_from_db()
    assert (notification.status, notification.attempts) == ("FAILED", 8)
    services.requeue_notification(notification_id=notification.pk, actor="staff:ann")
    workflows.send_due()
    notification.refresh_from_db()
    assert (notification.status, notification.attempts, notification.tries) == ("QUEUED", 9, 1)


def test_one_bad_notification_stops_no_other(others: Any) -> None:
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
    notification = queue()
    (begun,) = services.begin_due(owner="crashed")
    assert begun.notification == notification

    assert workflows.send_due() == 0

    Notification.objects.update(lease_until=utcnow() - timedelta(seconds=1))
    assert workflows.send_due() == 1
    assert [ok for ok, _ in log_of(notification)] == [False, True]


def test_a_sender_whose_lease_ran_out_neither_begins_nor_overwrites(others: Any) -> None:
    others.guest("ORD-1")
    notification = queue()
    begun = services.begin_due(owner="slow")
    Notification.objects.update(lease_until=utcnow() - timedelta(seconds=1))
    assert services.keep_leases(attempts=begun) == []
    workflows.send_due()
    assert services.keep_leases(attempts=begun) == []

    late = services.Outcome(attempt=begun[0], status=workflows.NotificationStatus.FAILED, answer="late")
    services.finish_attempts(outcomes=[late])

    notification.refresh_from_db()
    assert notification.status == "SENT"


def test_an_attempt_that_is_not_made_leaves_no_trace(others: Any) -> None:
    others.guest("ORD-1")
    notification = queue()
    services.take_back(attempts=services.begin_due(owner="leaving"))

    notification.refresh_from_db()
    assert (notification.attempts, notification.tries, log_of(notification)) == (0, 0, [])
    assert workflows.send_due() == 1


def test_a_round_begins_nothing_more_when_its_time_is_up(others: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    others.guest("ORD-1")
    notification = queue()
    monkeypatch.setattr(workflows, "ROUND", -1.0)

    assert workflows.send_due() == 0

    monkeypatch.undo()
    assert workflows.send_due() == 1
    assert log_of(notification) == [(True, "Accepted.")]


@pytest.mark.parametrize("turn", [0, 60])
def test_a_batch_is_sent_whole_however_long_its_turns_are(
    others: Any, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setattr(workflows, "TURN", turn)
    for number in range(5):
        others.guest(f"ORD-{number}", f"guest{number}@example.com")
        queue(f"ORD-{number}")

    assert workflows.send_due() == 5

    assert [sent.to for sent in mail.outbox] == [[f"guest{number}@example.com"] for number in range(5)]
    assert set(Notification.objects.values_list("status", "attempts", "lease_owner")) == {("SENT", 1, "")}


def test_many_notifications_cost_hardly_more_statements_than_one(others: Any, statements: Any) -> None:
    def cost() -> tuple[int, int]:
        others.asked = 0
        with statements() as counted:
            workflows.send_due()
        return counted.total, others.asked

    others.buyer("ORD-0")
    queue("ORD-0")
    one = cost()
    for number in range(1, 11):
        others.buyer(f"ORD-{number}")
        queue(f"ORD-{number}")
    total, asked = cost()
    assert (total - one[0], asked, one[1]) == (9, 2, 2), "an UPDATE for each, the rest once"


def test_a_kill_repeats_no_more_than_a_turn(others: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is killed while it hands over the third mail; the server has accepted two in this turn."""
    monkeypatch.setattr(workflows, "TURN", 60)
    for number in range(4):
        queue_to(f"reader{number}@example.com")
    really = Mailer.send

    def send(mailer: Mailer, **letter: Any) -> None:
        if letter["recipient"] == "reader2@example.com":
            raise SystemExit
        really(mailer, **letter)

    with monkeypatch.context() as killed:
        killed.setattr(Mailer, "send", send)
        with pytest.raises(SystemExit):
            workflows.send_due()
    assert workflows.send_due() == 0, "its leases have not run out"
    Notification.objects.update(lease_until=utcnow() - timedelta(seconds=1))

    assert workflows.send_due() == 4

    readers = [sent.to[0][:7] for sent in mail.outbox]
    assert sorted(readers) == ["reader0", "reader0", "reader1", "reader1", "reader2", "reader3"]
    names = {sent.extra_headers["Message-ID"] for sent in mail.outbox}
    assert len(names) == 4, "what is repeated has the same Message-ID"
    assert set(Notification.objects.values_list("status", "attempts")) == {("SENT", 2)}


def test_one_answer_that_cannot_be_recorded_makes_no_other_repeat(others: Any) -> None:
    others.guest("ORD-1")
    others.guest("ORD-2")
    bad, good = queue("ORD-1"), queue("ORD-2")
    about_bad = 0

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal about_bad
        if sql.startswith("UPDATE") and bad.pk in params and "ORD-1" in str(params):
            about_bad += 1
            raise DataError("no")
        return execute(sql, params, many, context)

    with connections["notifications"].execute_wrapper(fail):
        assert workflows.send_due() == 2

    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.status, good.status, about_bad) == ("QUEUED", "SENT", 2)


def test_the_cap_counts_what_this_turn_has_sent(others: Any, settings: Any) -> None:
    settings.ECI_OPEN = False
    others.people[7] = Customer(customer_id=7, email="jane@example.com", full_name="Jane", phone="")
    for number in range(domain.MAILS_AN_HOUR + 3):
        others.buyers[f"ORD-{number}"] = Recipient(customer_id=7, email="")
        queue(f"ORD-{number}", Kind.ORDER_CANCELLATION)

    assert workflows.send_due() == domain.MAILS_AN_HOUR


@pytest.mark.parametrize("given", ["reader@straße.de", "reader@STRASSE\u0301.de", "reader@xn--strae-oqa.de"])
def test_mail_goes_to_the_domain_that_was_written(others: Any, given: str) -> None:
    """K5: straße.de and strasse.de have different owners."""
    written = "reader@xn--strass-gva.de" if "\u0301" in given else "reader@xn--strae-oqa.de"
    others.guest("ORD-1", given)
    notification = queue()

    assert workflows.send_due() == 1

    (sent,) = mail.outbox
    assert (sent.recipients(), sent.message()["To"]) == ([written], written)
    notification.refresh_from_db()
    assert notification.recipient == written


@pytest.mark.parametrize("given", ["kırk@example.com", '"a b"@example.com', "reader"])
def test_what_is_no_address_is_not_mailed_to(others: Any, given: str) -> None:
    others.guest("ORD-1", given)
    notification = queue()

    assert workflows.send_due() == 0

    notification.refresh_from_db()
    assert (notification.status, mail.outbox) == ("FAILED", [])


def test_a_line_break_in_a_subject_makes_no_header(others: Any) -> None:
    notification = queue_to("reader@example.com")
    Notification.objects.filter(pk=notification.pk).update(subject="Hello\nBcc: other@example.com")

    assert workflows.send_due() == 1

    assert mail.outbox[0].message()["Bcc"] is None
    assert mail.outbox[0].recipients() == ["reader@example.com"]


@pytest.mark.parametrize(
    "subject", ["Hello", "Grüße", "Grüße " * 30, "long " * 40, "x" * 200, " =?utf-8?q?x?= ", "a\x7f"]
)
@pytest.mark.parametrize("recipient", ["ann@example.com", f"{'a' * 60}@{'b' * 60}.{'c' * 60}.example.com"])
def test_a_mail_is_byte_for_byte_what_django_writes(subject: str, recipient: str) -> None:
    with Mailer() as mailer:
        mailer.send(name="one", recipient=recipient, subject=subject, text="Grüße,\n" + "word " * 300)
    [sent] = mail.outbox
    sent.extra_headers["Date"] = "Wed, 02 Dec 2026 04:00:00 -0000"
    of_django = mail.EmailMessage(sent.subject, sent.body, to=sent.to, headers=sent.extra_headers)
    for end in ("\n", "\r\n"):
        assert sent.message().as_bytes(linesep=end) == of_django.message().as_bytes(linesep=end)


# -- over a real mail server ------------------------------------------------------------------------------------------


class Postbox:
    """A mail server that answers RCPT with ``replies``, and keeps what it accepts."""

    def __init__(self) -> None:
        self.replies: list[str] = []
        self.mails: list[Any] = []
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
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 Message accepted"


@pytest.fixture
def postbox(settings: Any) -> Iterator[Postbox]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    settings.EMAIL_BACKEND = "contexts.notifications.adapters.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    controller.start()
    yield box
    controller.stop()


def test_mails_arrive_at_a_mail_server_over_one_connection(others: Any, postbox: Postbox) -> None:
    first, second = queue_to("reader@example.com"), queue_to("other@example.com")

    assert workflows.send_due() == 2

    assert [recipients for recipients, _ in postbox.mails] == [["reader@example.com"], ["other@example.com"]]
    arrived = postbox.mails[0][1]
    assert (arrived["Subject"], arrived["To"]) == ("Hello", "reader@example.com")
    assert arrived["Message-ID"] == f"<notification-{first.pk}-{first.nonce}@example.com>"
    assert arrived.get_payload().strip() == "How are you?"
    assert postbox.connections == 1
    assert log_of(second) == [(True, "Accepted.")]


def test_a_refusal_for_now_is_tried_again(others: Any, postbox: Postbox) -> None:
    postbox.replies = ["451 Greylisted, try later"]
    notification = queue_to("reader@example.com")

    assert workflows.send_due() == 0
    notification.refresh_from_db()
    assert notification.status == "QUEUED"
    assert log_of(notification) == [(False, "The mail server answered 451 Greylisted, try later")]

    due_now()
    assert workflows.send_due() == 1
    assert len(postbox.mails) == 1


def test_a_refusal_for_good_is_not_tried_again_and_stops_no_other(others: Any, postbox: Postbox) -> None:
    postbox.replies = ["550 No such mailbox"]
    refused, accepted = queue_to("nobody@example.com"), queue_to("reader@example.com")

    assert workflows.send_due() == 1

    refused.refresh_from_db()
    accepted.refresh_from_db()
    assert (refused.status, refused.attempts, accepted.status) == ("FAILED", 1, "SENT")
    assert log_of(refused) == [(False, "The mail server answered 550 No such mailbox")]


def test_a_mail_server_that_is_away_is_waited_for(others: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "contexts.notifications.adapters.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    notification = queue_to("reader@example.com")

    assert workflows.send_due() == 0

    notification.refresh_from_db()
    assert (notification.status, notification.attempts) == ("QUEUED", 1)
    assert log_of(notification) == [(False, "The mail server cannot be reached: ConnectionRefusedError.")]
