"""The sender: it records attempts, calls out, and records the answers, never with a transaction open meanwhile."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.customers.public.api import customers
from contexts.customers.public.contracts import AccountNotFound, Customer, CustomerNotFound, EnoughMails
from contexts.inventory.public.api import inventory
from contexts.notifications import domain, selectors, services
from contexts.notifications.adapters import NotDelivered
from contexts.notifications.adapters.email import Mailer
from contexts.notifications.adapters.sms import sms
from contexts.notifications.models import Attempt, Notification
from contexts.notifications.public.contracts import Channel, NotificationStatus
from contexts.notifications.services import Outcome
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import OrderNotFound, Recipient
from eci import text
from eci.away import is_away
from eci.clock import utcnow
from eci.ids import is_our_order
from eci.watch import tracing
from eci.watch.logs import scrubbed, tell
from eci.watch.requests import continued, logger

log = logger(__name__)
_attempts = logging.getLogger(__name__)

_ABOUT_ACCOUNT = (*domain.WITH_SECRET, *domain.ABOUT_ACCOUNT)
ROUND = 10.0  # seconds, then no turn begins: a slow mail server must not keep the worker from other tasks
LOW_ROWS = 200  # that a mail names
TURN = 1.0  # seconds, then answers are recorded, and recipients asked for again


def send_due() -> int:
    """Send the notifications that are due, and return how many were sent. One that fails stops no other.

    1. Begin a batch: lease the notifications and record an attempt of each, in one transaction.
    2. Ask orders and customers for the recipients of the shop's own, all at once.
    3. Write the text of one after the other, and hand it to the mail server or the SMS gateway, with no transaction
       open, until all are handed over or the turn is over.
    4. Record the answers in one transaction: sent, suppressed, failed for good, or queued again after a delay.
       Where orders or customers is away, nothing was handed over: that is no attempt, and they are asked again after
       some seconds.
    5. Renew the leases of what is left of the batch, and let it have the next turn, from 2 on.
    6. Repeat until nothing is due. After ``ROUND`` seconds, give back what has not had its turn and stop.

    A process that dies in between leaves leases that run out, and other attempts are made: what was handed over in this
    turn may be sent twice, with the same Message-ID.
    """
    owner = uuid.uuid4().hex
    end = time.monotonic() + ROUND
    sent = 0
    with Mailer() as mailer:
        while waiting := services.begin_due(owner=owner):
            while waiting:
                if time.monotonic() > end:
                    services.take_back(attempts=waiting)
                    return sent
                outcomes = _turn(waiting, mailer)
                sent += sum(outcome.status is NotificationStatus.SENT for outcome in outcomes)
                waiting = waiting[len(outcomes) :]
                if waiting:
                    waiting = services.keep_leases(attempts=waiting)
    return sent


def mail_low_stock() -> None:
    """Queue a mail about the stock that is low now, to those who want it: once a day, after an hour of theirs.

    While nothing is low, none is queued, and what becomes low later on the day is told then.
    """
    now = utcnow()
    recipients = settings.ECI_LOW_STOCK_MAIL
    if not recipients or now.hour < settings.ECI_LOW_STOCK_MAIL_HOUR or selectors.has_told_low_stock(day=now.date()):
        return
    new = selectors.became_low()
    rows = inventory.low_rows(limit=LOW_ROWS)
    if not rows:
        return
    products = _products_of({row.product_id for row in rows})
    low = [
        domain.Low(
            name=_named(products.get(row.product_id), row.product_id),
            warehouse=row.warehouse,
            on_hand=row.on_hand,
            available=row.available,
            reorder_point=row.reorder_point,
            is_new=row.inventory_id in new,
        )
        for row in rows
    ]
    wording = domain.low_stock(low, count=max(len(rows), inventory.low()))
    services.queue_low_stock(day=now.date(), recipients=recipients, wording=wording, told=new)


def _products_of(product_ids: set[int]) -> dict[int, Product]:
    """Those that the catalog knows."""
    return catalog.products(product_ids=catalog.known_products(product_ids=product_ids))


def _named(product: Product | None, product_id: int) -> str:
    return f"{product.sku} {product.name}" if product else f"product {product_id}"


def _turn(attempts: list[Attempt], mailer: Mailer) -> list[Outcome]:
    """Make the first of these attempts, as many as a turn has time for, and record how they ended."""
    end = time.monotonic() + TURN
    known = _ask_together(attempts)
    outcomes: list[Outcome] = []
    for attempt in attempts:
        if outcomes and time.monotonic() >= end:
            break
        notification = attempt.notification
        about: tracing.Attributes = {
            "eci.context": "notifications",
            "eci.notification.id": notification.pk,
            "eci.notification.kind": scrubbed(notification.kind),
        }
        with continued(notification.trace or {}, "send notification", about, order_id=notification.order_id):
            outcomes.append(_send(attempt, known, outcomes, mailer))
    try:
        services.finish_attempts(outcomes=outcomes)
    except Exception as error:  # each alone: one whose answer cannot be recorded must not make the others repeat
        log.error("answers_not_recorded_together", error=type(error).__name__)
        for outcome in outcomes:
            _record_alone(outcome)
    return outcomes


def _record_alone(outcome: Outcome) -> None:
    try:
        services.finish_attempts(outcomes=[outcome])
    except Exception as error:  # the lease runs out, then it is tried again
        pk = outcome.attempt.notification_id
        log.error("notification_not_handled", notification_id=pk, error=type(error).__name__)


def customer_written_to(*, order_id: str, recipient: str) -> int | None:
    """The customer whom a written notification is for: the order's, or the one with this address. OrderNotFound."""
    if is_our_order(order_id):
        return orders.recipient(order_id=order_id).customer_id
    return customers.customer_with(email=recipient)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What orders and customers have said a moment ago. Who is not in it is asked for alone, unless the context that
    knows them is ``away``."""

    buyers: Mapping[str, Recipient]
    people: Mapping[int, Customer]
    away: Collection[str] = ()

    def may_ask_about(self, notification: Notification) -> bool:
        return _is_written(notification) or not ("customers" in self.away or notification.order_id and self.away)

    def buyer(self, order_id: str) -> Recipient:
        """OrderNotFound."""
        return self.buyers.get(order_id) or orders.recipient(order_id=order_id)

    def customer(self, customer_id: int) -> Customer:
        """CustomerNotFound."""
        return self.people.get(customer_id) or customers.customer(customer_id=customer_id)


def _ask_together(attempts: list[Attempt]) -> Known:
    """The buyers and customers whom these attempts are for, as far as the two contexts answer."""
    own = [attempt.notification for attempt in attempts if attempt.notification.dedupe_key is not None]
    order_ids = sorted({notification.order_id for notification in own if notification.order_id})
    accounts = {domain.customer_of(one.facts["account"]) for one in own if "account" in one.facts}
    away: set[str] = set()
    buyers: Mapping[str, Recipient] = {}
    found: tuple[Customer, ...] = ()
    if order_ids:
        with _noting_absence("orders", away):
            buyers = orders.recipients(order_ids=order_ids)
    if people := sorted(filter(None, accounts | {buyer.customer_id for buyer in buyers.values()})):
        with _noting_absence("customers", away):
            found = customers.customers(customer_ids=people)
    return Known(buyers=buyers, people={person.customer_id: person for person in found}, away=away)


@contextmanager
def _noting_absence(context: str, away: set[str]) -> Iterator[None]:
    """What else goes wrong is no trouble yet: each is asked for alone, and has the error for its answer."""
    try:
        yield
    except Exception as error:
        log.info("recipients_not_told_together", context=context, error=type(error).__name__)
        if is_away(error):
            away.add(context)


class _NobodyToAsk(Exception):
    """Orders, customers, or the notifications' own database is away."""


def _send(attempt: Attempt, known: Known, before: list[Outcome], mailer: Mailer) -> Outcome:
    """Make the attempt. ``before``: what was sent in this turn, and is not recorded yet."""
    notification = attempt.notification
    untold = Outcome(attempt=attempt, status=NotificationStatus.QUEUED, answer="", is_made=False)
    if not known.may_ask_about(notification):
        return untold
    try:
        status, answer = _attempt(notification, known, before, mailer)
    except _NobodyToAsk:
        return untold
    delay = None
    if status is NotificationStatus.QUEUED:
        delay = domain.delay_after(notification.tries)
        status = NotificationStatus.QUEUED if delay else NotificationStatus.FAILED
    words = domain.in_words(answer)
    if notification.recipient:  # servers repeat the address they refuse, and more people read answers
        words = scrubbed(words.replace(notification.recipient, "the recipient"))
    tracing.note({"eci.notification.status": status}, failed=status is NotificationStatus.FAILED)
    tell(_attempts, "notification_attempt", notification_id=notification.pk, kind=notification.kind, outcome=status)
    return Outcome(attempt=attempt, status=status, answer=words, delay=delay)


def _attempt(
    notification: Notification, known: Known, before: list[Outcome], mailer: Mailer
) -> tuple[NotificationStatus, str]:
    """Make one attempt; how it ended, QUEUED where another might succeed. Fills in one of the shop's own first:
    _NobodyToAsk, and nothing was sent."""
    try:
        words, confirmed = (notification.message, True) if _is_written(notification) else _compose(notification, known)
        if not confirmed and _has_enough(notification, before):
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
        if is_away(error):
            raise _NobodyToAsk from error
        return NotificationStatus.QUEUED, f"{type(error).__name__}: {error}"
    return NotificationStatus.SENT, "Accepted."


def _is_written(notification: Notification) -> bool:
    """Recipient and text are there already."""
    return notification.dedupe_key is None or notification.kind == domain.Kind.LOW_STOCK


def _mailbox(notification: Notification) -> str:
    """Where the mail goes. ValueError. Mail about an account goes to the address that it has, though it is older than
    today's rule: who forgot their password needs it there."""
    try:
        return domain.recipient(notification.recipient)
    except ValueError:
        if notification.dedupe_key is None or notification.kind not in _ABOUT_ACCOUNT:
            raise
        return text.earlier_email(notification.recipient)


def _has_enough(notification: Notification, before: list[Outcome]) -> bool:
    """Open mode has no cap."""
    if settings.ECI_OPEN or notification.kind not in domain.COST_NOTHING:
        return False
    now = sum(
        outcome.status is NotificationStatus.SENT
        and outcome.attempt.notification.kind in domain.COST_NOTHING
        and outcome.attempt.notification.customer_id == notification.customer_id
        for outcome in before
    )
    return selectors.mails_lately(customer_id=notification.customer_id) + now >= domain.MAILS_AN_HOUR


def _compose(notification: Notification, known: Known) -> tuple[str, bool]:
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
        confirmed = _address_account(notification, known)
    else:
        confirmed = _address_order(notification, known)
    kept = domain.wording(kind, notification.order_id, notification.facts | {"secret": "(not kept)"})
    notification.subject, notification.message = kept.subject, kept.text
    shown = domain.wording(kind, notification.order_id, notification.facts | {"secret": _link(kind, secret)})
    return shown.text, confirmed


def _link(kind: domain.Kind, secret: str) -> str:
    """The storefront's page with the secret as fragment, which no server logs. Without a storefront, the secret."""
    kind = domain.Kind.EMAIL_VERIFICATION if kind is domain.Kind.EMAIL_CHANGE else kind  # one page for both
    page = f"{settings.ECI_STOREFRONT_URL}/{kind.replace('_', '-')}"
    return f"{page}#token={secret}" if settings.ECI_STOREFRONT_URL else secret


def _address_account(notification: Notification, known: Known) -> bool:
    """Fill in whose account it is about. Whether they have confirmed their address."""
    account = notification.facts["account"]
    notification.customer_id = domain.customer_of(account)
    if notification.customer_id is None:
        notification.recipient = customers.address_of(account=account)
        return True
    owner = known.customer(notification.customer_id)
    notification.recipient = owner.email
    return owner.email_verified


def _address_order(notification: Notification, known: Known) -> bool:
    """Fill in customer, channel and address of the order's buyer; the address is empty where there is none.

    Whether they have confirmed it: staff and other systems, who order for guests, answer for those.
    """
    buyer = known.buyer(notification.order_id)
    notification.customer_id = buyer.customer_id
    if buyer.customer_id is None:
        if not (notification.readdressed and buyer.email):  # an erased guest has none
            notification.channel, notification.recipient = Channel.EMAIL, buyer.email
        return True
    owner = known.customer(buyer.customer_id)
    if notification.readdressed:
        return True
    by_mail = bool(owner.email)
    notification.channel = Channel.EMAIL if by_mail else Channel.SMS
    notification.recipient = owner.email if by_mail else owner.phone
    return owner.email_verified
