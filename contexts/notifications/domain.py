"""What the shop's notifications say, and how often one is tried."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from contexts.notifications.public.contracts import Channel, NotificationStatus
from eci import text
from eci.errors import InvalidRequest

BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 1800, 7200, 21600))


class Kind(StrEnum):
    """The notifications that the shop sends by itself."""

    ORDER_CONFIRMATION = "order_confirmation"
    SHIPPING_CONFIRMATION = "shipping_confirmation"
    ORDER_CANCELLATION = "order_cancellation"
    REFUND = "refund"
    PAYMENT_FAILURE = "payment_failure"
    ORDER_EXPIRED = "order_expired"
    SHIPMENT_CHANGED = "shipment_changed"
    RETURN_REQUESTED = "return_requested"
    RETURN_RECEIVED = "return_received"
    RETURN_REFUSED = "return_refused"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    LOGIN_ENDED = "login_ended"
    LOW_STOCK = "low_stock"


WITH_SECRET = (Kind.PASSWORD_RESET, Kind.EMAIL_VERIFICATION, Kind.EMAIL_CHANGE)
ABOUT_ACCOUNT = (Kind.EMAIL_CHANGE_ASKED, Kind.PASSWORD_CHANGED, Kind.LOGIN_ENDED)
COST_NOTHING = (*WITH_SECRET, *ABOUT_ACCOUNT, Kind.ORDER_CANCELLATION, Kind.PAYMENT_FAILURE, Kind.ORDER_EXPIRED)
"""No payment stands behind these, so anybody can cause any number of them, with a stranger's address."""
MAILS_AN_HOUR = 10  # of these, to a customer who has not confirmed the address


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Subject and text of one notification."""

    subject: str
    text: str


_WORDINGS = {
    Kind.ORDER_CONFIRMATION: (
        "Your order {order_id} is confirmed",
        "Thank you for your order {order_id}.\n\n{paid} We will write to you when your goods are on their way.",
    ),
    Kind.SHIPPING_CONFIRMATION: (
        "Your order {order_id} is on its way",
        "A shipment of your order {order_id} has left our warehouse.\n\nCarrier: {carrier}\n"
        "Tracking number: {tracking_no}",
    ),
    Kind.ORDER_CANCELLATION: (
        "Your order {order_id} was cancelled",
        "Your order {order_id} was cancelled. Anything you have paid for it is refunded.",
    ),
    Kind.REFUND: (
        "A refund for your order {order_id}",
        "We have refunded {amount} {currency} for your order {order_id}.",
    ),
    Kind.PAYMENT_FAILURE: (
        "The payment for your order {order_id} failed",
        "The payment for your order {order_id} was not accepted, so the order was not placed. "
        "You have not been charged.",
    ),
    Kind.ORDER_EXPIRED: (
        "Your order {order_id} has expired",
        "We received no payment for your order {order_id} in time, so it has expired. You have not been charged.",
    ),
    Kind.SHIPMENT_CHANGED: (
        "Another tracking number for your order {order_id}",
        "A shipment of your order {order_id} travels under another carrier or tracking number than we told you. These "
        "are the right ones now:\n\nCarrier: {carrier}\nTracking number: {tracking_no}",
    ),
    Kind.RETURN_REQUESTED: (
        "You want to return goods of your order {order_id}",
        "We have noted that you want to return goods of your order {order_id}. The number of your return is "
        "{return_id}.\n\nWe will write to you when we have the goods, or when we cannot take them back.",
    ),
    Kind.RETURN_RECEIVED: (
        "We have the goods you returned of your order {order_id}",
        "The goods of return {return_id} of your order {order_id} have arrived. If there is money to refund, we "
        "will write to you again.",
    ),
    Kind.RETURN_REFUSED: (
        "We cannot take back goods of your order {order_id}",
        "We cannot accept return {return_id} of your order {order_id}.{because}\n\nYou have not been refunded for it.",
    ),
    Kind.PASSWORD_RESET: (
        "Choose a new password",
        "Somebody, probably you, asked for a new password. Within 30 minutes you can choose one with:\n\n{secret}\n\n"
        "If it wasn't you, do nothing: your password stays as it is.",
    ),
    Kind.EMAIL_VERIFICATION: (
        "Please confirm your e-mail address",
        "Confirm that this address is yours with:\n\n{secret}\n\nIf you did not register with us, do nothing.",
    ),
    Kind.EMAIL_CHANGE: (
        "Please confirm your new e-mail address",
        "Somebody, probably you, wants to use this address for their account with us. Confirm that it is yours "
        "with:\n\n{secret}\n\nIf it wasn't you, do nothing.",
    ),
    Kind.EMAIL_CHANGE_ASKED: (
        "Your account is to have another e-mail address",
        "Somebody, probably you, wants your account to have another e-mail address. It counts once the link that we "
        "have mailed to that address is followed; your other logins end then.\n\nIf it wasn't you, choose a new "
        "password now: then nothing changes.",
    ),
    Kind.PASSWORD_CHANGED: (
        "Your password was changed",
        "Your password was changed, and you were logged out everywhere. If it wasn't you, reset your password now.",
    ),
    Kind.LOGIN_ENDED: (
        "We have ended one of your logins",
        "A credential of one of your logins was used twice, so somebody else may have a copy of it. We have ended that "
        "login. Please log in again; if you have any doubt, change your password, which ends all the others.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Low:
    """A stock row that is low. ``is_new``: since the last mail."""

    name: str
    warehouse: str
    on_hand: int
    available: int
    reorder_point: int
    is_new: bool


def low_stock(rows: Sequence[Low], *, count: int) -> Wording:
    """What staff is mailed of these rows, of ``count`` that there are."""
    parts = []
    for title, is_new in (("New since the last mail", True), ("Still low", False)):
        lines = [
            f"- {row.name}, {row.warehouse}: {row.on_hand} on hand, {row.available} available, "
            f"reorder point {row.reorder_point}"
            for row in rows
            if row.is_new == is_new
        ]
        if lines:
            parts.append("\n".join([f"{title}:", *lines]))
    if count > len(rows):
        parts.append(f"And {count - len(rows)} more.")
    return Wording(subject=f"Low stock: {count}", text="\n\n".join(parts))


def new_nonce() -> str:
    """16 random hexadecimal digits."""
    return secrets.token_hex(8)


def unique_name(notification_id: int, nonce: str) -> str:
    """The same for every attempt. The nonce is needed because a restored database gives out the same ids again."""
    return f"notification-{notification_id}-{nonce}" if nonce else f"notification-{notification_id}"


def wording(kind: Kind, order_id: str, facts: dict[str, str]) -> Wording:
    """The wording for this kind. ``facts`` are the values it names besides the order."""
    subject, body = _WORDINGS[kind]
    facts = {"return_id": ""} | facts | {"paid": _paid(facts), "because": _because(facts)}
    return Wording(subject=subject.format(order_id=order_id), text=body.format(order_id=order_id, **facts))


def _paid(facts: dict[str, str]) -> str:
    total = facts.get("order_total", "")
    if not total.strip("0."):
        return "There is nothing to pay."
    return f"We have received your payment of {total} {facts.get('currency', '')}."


def _because(facts: dict[str, str]) -> str:
    return f"\n\n{facts['reason']}" if facts.get("reason") else ""


def customer_of(account: str) -> int | None:
    """The number in ``customer:5``; None for staff."""
    kind, _, number = account.partition(":")
    return int(number) if kind == "customer" else None


def delay_after(tries: int) -> timedelta | None:
    """How long to wait after this many failed tries; None: give up."""
    return BACKOFF[tries - 1] if tries <= len(BACKOFF) else None


def recipient(given: str) -> str:
    """An e-mail address or a phone number in the form that is stored. ValueError with a sentence for people."""
    try:
        return text.email(given) if "@" in given else text.phone(given)
    except ValueError:
        raise ValueError("This is neither an e-mail address nor a phone number.") from None


def required_recipient(given: str) -> str:
    """As ``recipient``. InvalidRequest."""
    try:
        return recipient(given)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def why_not_again(*, kind: str, status: str, written: bool, message: str) -> str:
    """Why this notification cannot be sent again; empty if it can."""
    if status == NotificationStatus.QUEUED:
        return "It has not been sent yet."
    if kind in WITH_SECRET and not written:
        return "Its link is not kept: the customer asks for a new one."
    return "Its text has been erased." if written and not message else ""


def channel_to(recipient: str) -> Channel:
    return Channel.EMAIL if "@" in recipient else Channel.SMS


def in_words(answer: object) -> str:
    """Another system's answer, as one printable line of at most 500 characters."""
    printable = "".join(character if character.isprintable() else " " for character in str(answer))
    return " ".join(printable.split())[:500]
