"""Wordings, delays and the cleaning of texts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contexts.notifications.domain import (
    ABOUT_ACCOUNT,
    WITH_SECRET,
    Kind,
    delay_after,
    in_words,
    wording,
)

pytestmark = pytest.mark.no_database

FACTS = {
    "order_total": "19.99",
    "amount": "5.00",
    "currency": "USD",
    "carrier": "standard",
    "tracking_no": "ECIABC",
    "secret": "SECRET",
    "return_id": "77",
    "reason": "It was worn.",
}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.LOW_STOCK])
def test_every_kind_has_a_wording_that_names_its_order(kind: Kind) -> None:
    written = wording(kind, "ORD-1", FACTS)

    of_an_order = kind not in (*ABOUT_ACCOUNT, *WITH_SECRET)
    assert ("ORD-1" in written.subject, "ORD-1" in written.text) == (of_an_order, of_an_order)
    assert ("SECRET" in written.text) == (kind in WITH_SECRET)
    assert len(written.subject.splitlines()) == 1
    assert "{" not in written.subject + written.text


def test_wordings_name_their_facts() -> None:
    assert "19.99 USD" in wording(Kind.ORDER_CONFIRMATION, "ORD-1", FACTS).text
    assert "5.00 USD" in wording(Kind.REFUND, "ORD-1", FACTS).text
    assert "ECIABC" in wording(Kind.SHIPPING_CONFIRMATION, "ORD-1", FACTS).text
    assert "ECIABC" in wording(Kind.SHIPMENT_CHANGED, "ORD-1", FACTS).text
    for kind in (Kind.RETURN_REQUESTED, Kind.RETURN_RECEIVED, Kind.RETURN_REFUSED):
        assert "77" in wording(kind, "ORD-1", FACTS).text
    assert "\n\nIt was worn.\n\n" in wording(Kind.RETURN_REFUSED, "ORD-1", FACTS).text
    assert "\n\n\n" not in wording(Kind.RETURN_REFUSED, "ORD-1", {}).text


@pytest.mark.parametrize("total", ["0.00", "0", "0.000"])
def test_who_had_nothing_to_pay_is_not_told_of_a_payment(total: str) -> None:
    """K1"""
    written = wording(Kind.ORDER_CONFIRMATION, "ORD-1", FACTS | {"order_total": total}).text
    assert "There is nothing to pay." in written
    assert "payment" not in written


def test_waiting_grows_and_ends_after_eight_tries() -> None:
    delays = [delay_after(tries) for tries in range(1, 9)]

    assert delays[:5] == [timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 1800)]
    assert None not in delays[:7]
    assert delays[7] is None


def test_an_answer_becomes_one_bounded_printable_line() -> None:
    assert in_words("try\r\nlater\x00 please") == "try later please"
    assert len(in_words("x" * 9000)) == 500
