"""The sender: record the attempt, call out, record the answer. Never inside a transaction while it calls."""

from __future__ import annotations

import time
import uuid

from django.conf import settings

from contexts.customers.public.api import customers
from contexts.customers.public.contracts import AccountNotFound, CustomerNotFound
from contexts.notifications import domain, services
from contexts.notifications.adapters import NotDelivered
from contexts.notifications.adapters.email import Mailer
from contexts.notifications.adapters.sms import sms
from contexts.notifications.models import Notification
from contexts.notifications.public.contracts import Channel, NotificationStatus
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import OrderNotFound
from eci.watch import tracing
from eci.watch.logs import scrubbed
from eci.watch.requests import continued, logger

log = logger(__name__)

ROUND = 10.0  # seconds after which nothing more is begun: a slow mail server must not keep the worker from other tasks


def send_due() -> int:
    """Send what is due; returns how many notices were sent. A notice that can't be sent stops no other."""
    owner = uuid.uuid4().hex
    end = time.monotonic() + ROUND
    sent = 0
    with Mailer() as mailer:
        while notices := services.claim_due(owner=owner):
            for notice in notices:
                if time.monotonic() > end:
                    services.hand_back(owner=owner)
                    return sent
                about: tracing.Attributes = {
                    "eci.context": "notifications",
                    "eci.notification.id": notice.pk,
                    "eci.notification.kind": scrubbed(notice.kind),
                }
                with continued(notice.trace or {}, "send notification", about, order_id=notice.order_id):
                    sent += _send(notice, mailer)
    return sent


def _send(notice: Notification, mailer: Mailer) -> bool:
    try:
        attempt_id = services.begin_attempt(notification_id=notice.pk, owner=notice.lease_owner)
        if attempt_id is None:
            return False
        status, answer = _attempt(notice, mailer)
        delay = None
        if status is NotificationStatus.QUEUED:
            delay = domain.delay_after(notice.tries + 1)
            status = NotificationStatus.QUEUED if delay else NotificationStatus.FAILED
        words = domain.in_words(answer)
        if notice.recipient:  # mail servers repeat whom they refuse, and an answer is read and kept in more places
            words = scrubbed(words.replace(notice.recipient, "the recipient"))
        services.finish_attempt(attempt_id=attempt_id, notice=notice, status=status, answer=words, delay=delay)
    except Exception as error:  # the lease runs out and the notice is tried again
        log.error("notification_not_handled", notification_id=notice.pk, error=type(error).__name__)
        return False
    tracing.note({"eci.notification.status": status}, failed=status is NotificationStatus.FAILED)
    log.info("notification_attempt", notification_id=notice.pk, kind=notice.kind, outcome=status)
    return status is NotificationStatus.SENT


def _attempt(notice: Notification, mailer: Mailer) -> tuple[NotificationStatus, str]:
    """How one try ended; QUEUED: another might succeed. Fills in the recipient and the text of a notice of ours."""
    try:
        text = notice.message if notice.dedupe_key is None else _compose(notice)
        if not notice.recipient:
            return NotificationStatus.SUPPRESSED, "There is no address to send to."
        if notice.channel == Channel.SMS:
            sms().send(recipient=notice.recipient, text=text)
        else:
            mailer.send(
                name=domain.message_name(notice.pk, notice.nonce),
                recipient=notice.recipient,
                subject=notice.subject or "A message about your order",
                text=text,
            )
    except (OrderNotFound, CustomerNotFound, AccountNotFound):
        return NotificationStatus.SUPPRESSED, "The recipient no longer exists."
    except NotDelivered as failure:
        return NotificationStatus.FAILED if failure.permanent else NotificationStatus.QUEUED, failure.answer
    except Exception as error:  # whatever it is, it concerns this notice only, and may pass
        return NotificationStatus.QUEUED, f"{type(error).__name__}: {error}"
    return NotificationStatus.SENT, "Accepted."


def _compose(notice: Notification) -> str:
    """Fills in whom a notice of ours is for and what it says. Gives the text to send: a secret in it is not kept."""
    kind = domain.Kind(notice.kind)
    secret = ""
    if kind in domain.WITH_SECRET:
        mailed = customers.new_secret(request_id=int(notice.facts["request_id"]))
        notice.customer_id, notice.recipient, secret = mailed.customer_id, mailed.email, mailed.secret
    elif kind in domain.ABOUT_ACCOUNT:
        notice.recipient = customers.address_of(account=notice.facts["account"])
        notice.customer_id = domain.customer_of(notice.facts["account"])
    else:
        notice.customer_id, notice.channel, notice.recipient = _recipient(notice.order_id)
    kept = domain.letter(kind, notice.order_id, notice.facts | {"secret": "(not kept)"})
    notice.subject, notice.message = kept.subject, kept.text
    return domain.letter(kind, notice.order_id, notice.facts | {"secret": _link(kind, secret)}).text


def _link(kind: domain.Kind, secret: str) -> str:
    """The storefront's page for it; a fragment, because servers' logs hold none. Without a storefront, the secret."""
    page = f"{settings.ECI_STOREFRONT_URL}/{kind.replace('_', '-')}"
    return f"{page}#token={secret}" if settings.ECI_STOREFRONT_URL else secret


def _recipient(order_id: str) -> tuple[int | None, Channel, str]:
    """Whose the order is, and where news of it goes; an empty address when there is none."""
    buyer = orders.recipient(order_id=order_id)
    if buyer.customer_id is None:
        return None, Channel.EMAIL, buyer.email
    customer = customers.customer(customer_id=buyer.customer_id)
    channel, address = (Channel.EMAIL, customer.email) if customer.email else (Channel.SMS, customer.phone)
    return buyer.customer_id, channel, address
