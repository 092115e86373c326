"""Wording, kinds, validity and delays of notifications, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contexts.notifications.domain import (
    ABOUT_ACCOUNT,
    WITH_SECRET,
    Kind,
    delay_after,
    in_words,
    is_one_line,
    letter,
)

pytestmark = pytest.mark.no_database

FACTS = {
    "order_total": "19.99",
    "amount": "5.00",
    "currency": "USD",
    "carrier": "standard",
    "tracking_no": "ECIABC",
    "secret": "SECRET",
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_letter_that_names_its_order(kind: Kind) -> None:
    written = letter(kind, "ORD-1", FACTS)

    of_an_order = kind not in (*ABOUT_ACCOUNT, *WITH_SECRET)
    assert ("ORD-1" in written.subject, "ORD-1" in written.text) == (of_an_order, of_an_order)
    assert ("SECRET" in written.text) == (kind in WITH_SECRET)
    assert is_one_line(written.subject)
    assert "{" not in written.subject + written.text


def test_letters_name_their_facts() -> None:
    assert "19.99 USD" in letter(Kind.ORDER_CONFIRMATION, "ORD-1", FACTS).text
    assert "5.00 USD" in letter(Kind.REFUND, "ORD-1", FACTS).text
    assert "ECIABC" in letter(Kind.SHIPPING_CONFIRMATION, "ORD-1", FACTS).text


def test_waiting_grows_and_ends_after_eight_tries() -> None:
    delays = [delay_after(tries) for tries in range(1, 9)]

    assert delays[:5] == [timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 1800)]
    assert None not in delays[:7]
    assert delays[7] is None


@pytest.mark.parametrize("text", ["a\nb", "a\r\nBcc: b", "a\n", "a\x0bb", "a\x85b", "a\u2028b"])
def test_a_line_break_of_any_kind_is_seen(text: str) -> None:
    assert not is_one_line(text)


def test_an_answer_becomes_one_bounded_printable_line() -> None:
    assert in_words("try\r\nlater\x00 please") == "try later please"
    assert len(in_words("x" * 9000)) == 500
