"""The sender: it records an attempt, calls out, and records the answer, never with a transaction open meanwhile."""

from __future__ import annotations

import time
import uuid

from django.conf import settings

from contexts.customers.public.api import customers
from contexts.customers.public.contracts import AccountNotFound, CustomerNotFound, EnoughMails
from contexts.notifications import domain, selectors, services
from contexts.notifications.adapters import NotDelivered
from contexts.notifications.adapters.email import Mailer
from contexts.notifications.adapters.sms import sms
from contexts.notifications.models import Notification
from contexts.notifications.public.contracts import Channel, NotificationStatus
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import OrderNotFound
from eci import text
from eci.ids import is_our_order
from eci.watch import tracing
from eci.watch.logs import scrubbed
from eci.watch.requests import continued, logger

log = logger(__name__)

_ABOUT_ACCOUNT = (*domain.WITH_SECRET, *domain.ABOUT_ACCOUNT)
ROUND = 10.0  # seconds, then no attempt begins: a slow mail server must not keep the worker from other tasks


def send_due() -> int:
    """Send the notifications that are due, and return how many were sent. One that fails stops no other.

    1. Claim a batch of due notifications by lease.
    2. For each one, renew the lease and record an attempt, in one transaction.
    3. For one of the shop's own, ask orders or customers for the recipient, and write the text.
    4. Hand it to the mail server or the SMS gateway, with no transaction open.
    5. Record the answer: sent, suppressed, failed for good, or queued again after a delay.
    6. Repeat until nothing is due. After ``ROUND`` seconds, release the leases that are left and stop.

    A process that dies in between leaves a lease that runs out, and another attempt is made: a notification may be
    sent twice, with the same Message-ID.
    """
    owner = uuid.uuid4().hex
    end = time.monotonic() + ROUND
    sent = 0
    with Mailer() as mailer:
        while batch := services.claim_due(owner=owner):
            for notification in batch:
                if time.monotonic() > end:
                    services.release_leases(owner=owner)
                    return sent
                about: tracing.Attributes = {
                    "eci.context": "notifications",
                    "eci.notification.id": notification.pk,
                    "eci.notification.kind": scrubbed(notification.kind),
                }
                with continued(notification.trace or {}, "send notification", about, order_id=notification.order_id):
                    sent += _send(notification, mailer)
    return sent


def customer_written_to(*, order_id: str, recipient: str) -> int | None:
    """The customer whom a written notification is for: the order's, or the one with this address. OrderNotFound."""
    if is_our_order(order_id):
        return orders.recipient(order_id=order_id).customer_id
    return customers.customer_with(email=recipient)


def _send(notification: Notification, mailer: Mailer) -> bool:
    try:
        attempt_id = services.begin_attempt(notification_id=notification.pk, owner=notification.lease_owner)
        if attempt_id is None:
            return False
        status, answer = _attempt(notification, mailer)
        delay = None
        if status is NotificationStatus.QUEUED:
            delay = domain.delay_after(notification.tries + 1)
            status = NotificationStatus.QUEUED if delay else NotificationStatus.FAILED
        words = domain.in_words(answer)
        if notification.recipient:  # servers repeat the address they refuse, and more people read answers
            words = scrubbed(words.replace(notification.recipient, "the recipient"))
        services.finish_attempt(
            attempt_id=attempt_id, notification=notification, status=status, answer=words, delay=delay
        )
    except Exception as error:  # the lease runs out, then it is tried again
        log.error("notification_not_handled", notification_id=notification.pk, error=type(error).__name__)
        return False
    tracing.note({"eci.notification.status": status}, failed=status is NotificationStatus.FAILED)
    log.info("notification_attempt", notification_id=notification.pk, kind=notification.kind, outcome=status)
    return status is NotificationStatus.SENT


def _attempt(notification: Notification, mailer: Mailer) -> tuple[NotificationStatus, str]:
    """Make one attempt; how it ended, QUEUED where another might succeed. Fills in one of the shop's own first."""
    try:
        words, confirmed = (notification.message, True) if notification.dedupe_key is None else _compose(notification)
        if not confirmed and _has_enough(notification):
            return NotificationStatus.QUEUED, "This address has had enough mails for an hour: nobody has confirmed it."
        if not notification.recipient:
            return NotificationStatus.SUPPRESSED, "There is no address to send to."
        if notification.channel == Channel.SMS:
            sms().send(recipient=notification.recipient, text=words)
        else:
            try:
                notification.recipient = _mailbox(notification)
            except ValueError as error:
                return NotificationStatus.FAILED, str(error)
            mailer.send(
                name=domain.unique_name(notification.pk, notification.nonce),
                recipient=notification.recipient,
                subject=notification.subject or "A message about your order",
                text=words,
            )
    except (OrderNotFound, CustomerNotFound, AccountNotFound):
        notification.facts.pop("reason", None)  # nobody will read it any more
        return NotificationStatus.SUPPRESSED, "The recipient no longer exists."
    except EnoughMails as refusal:
        return NotificationStatus.SUPPRESSED, refusal.message
    except NotDelivered as failure:
        return NotificationStatus.FAILED if failure.permanent else NotificationStatus.QUEUED, failure.answer
    except Exception as error:  # it concerns this notification only, and may pass
        return NotificationStatus.QUEUED, f"{type(error).__name__}: {error}"
    return NotificationStatus.SENT, "Accepted."


def _mailbox(notification: Notification) -> str:
    """Where the mail goes. ValueError. Mail about an account goes to the address that it has, though it is older than
    today's rule: who forgot their password needs it there."""
    try:
        return domain.recipient(notification.recipient)
    except ValueError:
        if notification.dedupe_key is None or notification.kind not in _ABOUT_ACCOUNT:
            raise
        return text.earlier_email(notification.recipient)


def _has_enough(notification: Notification) -> bool:
    """Open mode has no cap."""
    if settings.ECI_OPEN or notification.kind not in domain.COST_NOTHING:
        return False
    return selectors.mails_lately(customer_id=notification.customer_id) >= domain.MAILS_AN_HOUR


def _compose(notification: Notification) -> tuple[str, bool]:
    """Fill in recipient and wording of one of the shop's own. Returns the text to send, and whether the recipient has
    confirmed the address; the kept text has no secret."""
    kind = domain.Kind(notification.kind)
    secret = ""
    if kind in domain.WITH_SECRET:
        mailed = customers.new_secret(request_id=int(notification.facts["request_id"]))
        notification.customer_id, notification.recipient, secret = mailed.customer_id, mailed.email, mailed.secret
        confirmed = mailed.email_verified
    elif kind is domain.Kind.EMAIL_CHANGE_ASKED:
        former = customers.former_address(request_id=int(notification.facts["request_id"]))
        notification.customer_id, notification.recipient = former.customer_id, former.email
        confirmed = former.email_verified
    elif kind in domain.ABOUT_ACCOUNT:
        confirmed = _address_account(notification)
    else:
        confirmed = _address_order(notification)
    kept = domain.wording(kind, notification.order_id, notification.facts | {"secret": "(not kept)"})
    notification.subject, notification.message = kept.subject, kept.text
    shown = domain.wording(kind, notification.order_id, notification.facts | {"secret": _link(kind, secret)})
    return shown.text, confirmed


def _link(kind: domain.Kind, secret: str) -> str:
    """The storefront's page with the secret as fragment, which no server logs. Without a storefront, the secret."""
    kind = domain.Kind.EMAIL_VERIFICATION if kind is domain.Kind.EMAIL_CHANGE else kind  # one page for both
    page = f"{settings.ECI_STOREFRONT_URL}/{kind.replace('_', '-')}"
    return f"{page}#token={secret}" if settings.ECI_STOREFRONT_URL else secret


def _address_account(notification: Notification) -> bool:
    """Fill in whose account it is about. Whether they have confirmed their address."""
    account = notification.facts["account"]
    notification.customer_id = domain.customer_of(account)
    if notification.customer_id is None:
        notification.recipient = customers.address_of(account=account)
        return True
    owner = customers.customer(customer_id=notification.customer_id)
    notification.recipient = owner.email
    return owner.email_verified


def _address_order(notification: Notification) -> bool:
    """Fill in customer, channel and address of the order's buyer; the address is empty where there is none.

    Whether they have confirmed it: staff and other systems, who order for guests, answer for those.
    """
    buyer = orders.recipient(order_id=notification.order_id)
    notification.customer_id = buyer.customer_id
    if buyer.customer_id is None:
        notification.channel, notification.recipient = Channel.EMAIL, buyer.email
        return True
    owner = customers.customer(customer_id=buyer.customer_id)
    by_mail = bool(owner.email)
    notification.channel = Channel.EMAIL if by_mail else Channel.SMS
    notification.recipient = owner.email if by_mail else owner.phone
    return owner.email_verified
