"""Writes: each is one transaction on the notifications database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import CharField, F, QuerySet
from django.db.models.functions import Cast, Now

from contexts.notifications import domain, selectors
from contexts.notifications.domain import Kind, Wording
from contexts.notifications.models import Attempt, Erasure, LowStock, Notification
from contexts.notifications.public.contracts import AlreadySent, Channel, NotificationNotFound, NotificationStatus
from contexts.notifications.selectors import Row
from eci import erasure, idempotency, trail
from eci.away import PAUSE
from eci.clock import utcnow
from eci.db import after_commit, writes
from eci.erasure import blank
from eci.errors import IdempotencyInProgress, InvalidRequest, InvalidTransition
from eci.statements import Change, Columns, Inserts, change, changes, reads
from eci.watch.requests import trace_headers

LEASE = timedelta(seconds=15)
BATCH = 20  # attempts that are begun together: a kill leaves at most so many without an answer
_BEGUN = "Begun; no answer was recorded."

_FILLED_IN = ("channel", "recipient", "customer_id", "subject", "message", "facts")  # when an attempt is made

_add_own = Inserts(Notification, once=True)
_add_attempts = Inserts(Attempt)


@writes("notifications")
def queue_shop_notification(*, kind: Kind, order_id: str, reference: str, facts: dict[str, str]) -> None:
    """Queue one of the shop's own, once per kind and ``reference``; a repetition changes nothing."""
    now = utcnow()
    notification = Notification(
        kind=kind,
        channel=Channel.EMAIL,
        order_id=order_id,
        dedupe_key=f"{kind}:{reference}",
        facts=facts,
        nonce=domain.new_nonce(),
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    _add_own.along([notification])


@writes("notifications")
def note_low_stock(*, inventory_id: int) -> None:
    """The stock row has become low: the next mail about such says so."""
    LowStock.objects.bulk_create([LowStock(inventory_id=inventory_id)], ignore_conflicts=True)


@writes("notifications")
def queue_low_stock(*, day: date, recipients: Sequence[str], wording: Wording, told: Collection[int]) -> None:
    """Queue the day's mail about low stock, once to each. ``told``: the rows that it says are new."""
    now = utcnow()
    mails = [
        Notification(
            kind=Kind.LOW_STOCK,
            channel=Channel.EMAIL,
            recipient=recipient,
            subject=wording.subject,
            message=wording.text,
            dedupe_key=f"{Kind.LOW_STOCK}:{day}:{idempotency.fingerprint(recipient)}",
            nonce=domain.new_nonce(),
            created_at=now,
            updated_at=now,
        )
        for recipient in recipients
    ]
    Notification.objects.bulk_create(mails, ignore_conflicts=True)
    LowStock.objects.filter(pk__in=told).delete()


@writes("notifications")
def queue_written_notification(
    *,
    kind: str,
    channel: Channel,
    recipient: str,
    subject: str,
    message: str,
    order_id: str,
    customer_id: int | None = None,
    actor: str,
) -> Row:
    """Queue a notification with the recipient and text given. ``customer_id``: the customer it is erased with."""
    now = utcnow()
    notification = Notification.objects.create(
        kind=kind,
        channel=channel,
        recipient=recipient,
        subject=subject,
        message=message,
        order_id=order_id,
        customer_id=customer_id,
        actor=actor,
        nonce=domain.new_nonce(),
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    about = {"kind": kind, "order_id": order_id}
    trail.record("notifications", actor=actor, action="created", thing=_thing(notification.pk), after=about)
    return selectors.row_of(notification=notification)


@writes("notifications")
def requeue_notification(*, notification_id: int, actor: str) -> Row:
    """Make it due now, with a new series of tries. NotificationNotFound, AlreadySent."""
    unsent = Notification.objects.filter(pk=notification_id).exclude(status=NotificationStatus.SENT)
    queued = unsent.update(status=NotificationStatus.QUEUED, tries=0, next_at=Now(), updated_at=Now(), actor=actor)
    row = selectors.notification(notification_id=notification_id)
    if not queued:
        raise AlreadySent("This notification has already been sent.", notification_id=notification_id)
    trail.record("notifications", actor=actor, action="queued again", thing=_thing(notification_id))
    return row


def send_again(*, notification_id: int, recipient: str, reason: str, actor: str, key: str) -> tuple[int, bool]:
    """See ``Notifications.send_again``. The new notification's id, and whether the key had queued it before."""
    asked = idempotency.fingerprint(notification_id)
    named = idempotency.Key(scope=f"{actor}:notifications.send_again", key=key, fingerprint=asked)
    record = idempotency.find("notifications", named)
    if record is None:
        try:
            return _queue_again_once(notification_id, recipient, reason, actor, named), False
        except IdempotencyInProgress:
            record = idempotency.find("notifications", named)
            if record is None:
                raise
    return int(record.resource), True


@writes("notifications")
def _queue_again_once(notification_id: int, recipient: str, reason: str, actor: str, key: idempotency.Key) -> int:
    new_id = queue_again(notification_id=notification_id, recipient=recipient, reason=reason, actor=actor)
    idempotency.claim("notifications", key, resource=str(new_id))
    return new_id


@writes("notifications")
def queue_again(*, notification_id: int, recipient: str, reason: str, actor: str) -> int:
    """Queue a new notification that repeats this one, as ``Notifications.send_again`` says. Its id."""
    before = Notification.objects.filter(pk=notification_id).first()
    if before is None:
        raise NotificationNotFound("There is no such notification.", notification_id=notification_id)
    written, kind = before.dedupe_key is None, before.kind
    if why_not := domain.why_not_again(kind=kind, status=before.status, written=written, message=before.message):
        raise InvalidTransition(why_not, status=before.status)
    if recipient and not written and kind in domain.ABOUT_ACCOUNT:
        raise InvalidRequest("It is about an account, so it goes to the address of that account.")
    now, nonce = utcnow(), domain.new_nonce()
    again = Notification.objects.create(
        kind=kind,
        channel=domain.channel_to(recipient) if recipient else before.channel,
        recipient=recipient or (before.recipient if written else ""),
        subject=before.subject if written else "",
        message=before.message if written else "",
        order_id=before.order_id,
        dedupe_key=None if written else f"{kind}:again:{nonce}",
        facts=before.facts,
        customer_id=before.customer_id,
        actor=actor,
        again_of=before,
        reason=reason,
        readdressed=bool(recipient),
        nonce=nonce,
        trace=trace_headers(),
        created_at=now,
        updated_at=now,
    )
    after = {"notification": again.pk, "readdressed": bool(recipient)}
    trail.record("notifications", actor=actor, action="sent again", thing=_thing(notification_id), after=after)
    return again.pk


def _thing(notification_id: int) -> str:
    return f"notification:{notification_id}"


# -- the sender -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended. QUEUED: there will be another one after ``delay``.

    ``attempt``: as it was begun; its notification has the recipient and the text of this attempt. ``is_made``: false
    where nobody could be asked for these, so that it counts as none.
    """

    attempt: Attempt
    status: NotificationStatus
    answer: str
    delay: timedelta | None = None
    is_made: bool = True


def _due() -> QuerySet[Notification]:
    return Notification.objects.filter(status=NotificationStatus.QUEUED, next_at__lte=Now(), lease_until__lte=Now())


@reads
def _longest_waiting() -> QuerySet[Notification, int]:
    return _due().order_by("next_at", "pk").values_list("pk", flat=True)[:BATCH]


@changes
def _lease(*, ids: Collection[int], owner: str) -> Change:
    counted = {"attempts": F("attempts") + 1, "tries": F("tries") + 1}
    return change(_due().filter(pk__in=ids), lease_owner=owner, lease_until=Now() + LEASE, **counted)


@reads
def _leased(*, ids: Collection[int], owner: str) -> QuerySet[Notification, int]:
    mine = Notification.objects.filter(pk__in=ids, lease_owner=owner)
    return mine.order_by("next_at", "pk").values_list("pk", flat=True)


@reads
def _attempts_of(*, ids: Collection[int]) -> QuerySet[Attempt]:
    return Attempt.objects.filter(notification__in=ids).select_related("notification").order_by("pk")


def any_due() -> bool:
    return _longest_waiting.first() is not None


def begin_due(*, owner: str) -> list[Attempt]:
    """Begin an attempt of each notification that is due, up to one batch, the longest waiting first, under a lease."""
    candidates = _longest_waiting()
    if not candidates:  # an idle sender must not take the write lock
        return []
    return _begin(candidates, owner)


@writes("notifications")
def _begin(candidates: list[int], owner: str) -> list[Attempt]:
    """What another sender has begun meanwhile is left out."""
    _lease.along(ids=candidates, owner=owner)
    begun = _leased(ids=candidates, owner=owner)
    _add_attempts.along([Attempt(notification_id=pk, answer=_BEGUN) for pk in begun])
    newest = {attempt.notification_id: attempt for attempt in _attempts_of(ids=begun)}
    return [newest[pk] for pk in begun]


@writes("notifications")
def keep_leases(*, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Renew the leases of these attempts, which are still to be made. Returns those whose lease is not lost."""
    mine = _held(attempts)
    mine.update(lease_until=Now() + LEASE)
    held = set(mine.values_list("pk", flat=True))
    return [attempt for attempt in attempts if attempt.notification_id in held]


@writes("notifications")
def take_back(*, attempts: Sequence[Attempt]) -> None:
    """These attempts are not made: the notifications are free, and as they were."""
    _take_back(attempts)


def _take_back(attempts: Sequence[Attempt], **columns: Any) -> None:
    held = list(_held(attempts).values_list("pk", flat=True))
    Attempt.objects.filter(pk__in=[attempt.pk for attempt in attempts if attempt.notification_id in held]).delete()
    free = {"lease_owner": "", "lease_until": Now()}
    _held(attempts).update(**free, **columns, attempts=F("attempts") - 1, tries=F("tries") - 1)


def _held(attempts: Sequence[Attempt]) -> QuerySet[Notification]:
    """The notifications of these attempts, of one owner, whose lease has not run out."""
    return Notification.objects.filter(
        pk__in=[attempt.notification_id for attempt in attempts],
        status=NotificationStatus.QUEUED,
        lease_owner__in={attempt.notification.lease_owner for attempt in attempts},
        lease_until__gt=Now(),
    )


@changes
def _answer(*, ids: Collection[int], ok: bool, answer: str) -> Change:
    return change(Attempt.objects.filter(pk__in=ids), ok=ok, answer=answer)


@changes
def _end(*, pk: int, owner: str, delay: timedelta, columns: Columns) -> Change:
    mine = Notification.objects.filter(pk=pk, lease_owner=owner)
    return change(mine, **columns, next_at=Now() + delay, lease_owner="", lease_until=Now(), updated_at=Now())


@writes("notifications")
def finish_attempts(*, outcomes: Sequence[Outcome]) -> None:
    """Record how attempts ended. A notification whose lease was lost is another sender's, and stays as it is."""
    if untold := [outcome.attempt for outcome in outcomes if not outcome.is_made]:
        _take_back(untold, next_at=Now() + PAUSE)
        outcomes = [outcome for outcome in outcomes if outcome.is_made]
    for status, answer in {(outcome.status, outcome.answer) for outcome in outcomes}:
        alike = [one.attempt.pk for one in outcomes if (one.status, one.answer) == (status, answer)]
        _answer.along(ids=alike, ok=status is NotificationStatus.SENT, answer=answer)
    for outcome in outcomes:
        notification = outcome.attempt.notification
        filled_in = {name: getattr(notification, name) for name in _FILLED_IN}
        _end.along(
            pk=notification.pk,
            owner=notification.lease_owner,
            delay=outcome.delay or timedelta(),
            columns=Columns(filled_in | {"status": outcome.status}),
        )


# -- erasing people ---------------------------------------------------------------------------------------------------


@writes("notifications")
def erase_customer(*, customer_id: int, email_digest: str) -> None:
    """Erase the recipients and texts of a customer's notifications; the rows stay. Queued ones are never sent.

    Those to a guest with the same e-mail address, known by its digest (``erasure.email_digest``), are theirs too.
    """
    erasure.record("notifications", customer_id, email_digest=email_digest)
    _erase([customer_id])
    after_commit("notifications", erase_guests)


def erase_guests() -> None:
    """Erase what people who have been erased were sent as guests."""
    erasure.find_guests("notifications", _to_guests().exclude(recipient=""), "recipient", _erase_guests)


@writes("notifications")
def _erase_guests(addresses: Collection[str]) -> None:
    _blank(_to_guests().filter(recipient__in=addresses))


def _to_guests() -> QuerySet[Notification]:
    return Notification.objects.filter(customer_id=None)


@writes("notifications")
def erase_late() -> None:
    """Erase what was being sent while its customer was erased."""
    if Erasure.objects.exists():
        _erase(erasure.erased("notifications"))


def _erase(customers: Collection[int] | QuerySet[Any, int]) -> None:
    known = Notification.objects.filter(customer_id__in=customers)
    own = known.filter(readdressed=False)  # where staff gave another address, that may be somebody else's
    addresses = set(own.exclude(recipient="").values_list("recipient", flat=True).distinct())
    _blank(known)
    _blank(_to_guests().filter(recipient__in=addresses))


def _blank(notifications: QuerySet[Notification]) -> None:
    if not notifications.exists():
        return
    filled = notifications.exclude(recipient="", subject="", message="")
    ids = filled.values_list(Cast("pk", CharField()))
    for endpoint in ("notifications.create", "notifications.retry"):
        idempotency.erase("notifications", endpoint=endpoint, resources=ids)
    blank(filled.filter(status=NotificationStatus.QUEUED), status=NotificationStatus.SUPPRESSED)
    refused = notifications.filter(kind=Kind.RETURN_REFUSED)  # the reason is what somebody wrote
    blank(refused.exclude(facts={}), facts={})
    blank(notifications.exclude(reason=""), reason="")
    blank(filled, recipient="", subject="", message="")
