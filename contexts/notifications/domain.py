"""What notices say, and how often they are tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 1800, 7200, 21600))


class Kind(StrEnum):
    """The notices the shop itself sends."""

    ORDER_CONFIRMATION = "order_confirmation"
    SHIPPING_CONFIRMATION = "shipping_confirmation"
    ORDER_CANCELLATION = "order_cancellation"
    REFUND = "refund"
    PAYMENT_FAILURE = "payment_failure"
    ORDER_EXPIRED = "order_expired"


@dataclass(frozen=True, kw_only=True)
class Letter:
    subject: str
    text: str


_LETTERS = {
    Kind.ORDER_CONFIRMATION: (
        "Your order {order_id} is confirmed",
        "Thank you for your order {order_id}.\n\nWe have received your payment of {order_total} {currency}. "
        "We will tell you when your goods are on their way.",
    ),
    Kind.SHIPPING_CONFIRMATION: (
        "Your order {order_id} is on its way",
        "A parcel of your order {order_id} has left our warehouse.\n\nCarrier: {carrier}\n"
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
}


def letter(kind: Kind, order_id: str, facts: dict[str, str]) -> Letter:
    """The notice of this kind; ``facts`` are the values its text names besides the order."""
    subject, text = _LETTERS[kind]
    return Letter(subject=subject.format(order_id=order_id), text=text.format(order_id=order_id, **facts))


def delay_after(tries: int) -> timedelta | None:
    """How long to wait after so many failed tries; None: give up."""
    return BACKOFF[tries - 1] if tries <= len(BACKOFF) else None


def is_one_line(text: str) -> bool:
    """Nothing in it could begin another line, or another header, whoever reads it."""
    return text == "" or text.splitlines() == [text]


def in_words(answer: object) -> str:
    """Another system's answer as one printable line of at most 500 characters."""
    printable = "".join(character if character.isprintable() else " " for character in str(answer))
    return " ".join(printable.split())[:500]
