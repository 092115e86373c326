"""Where a shipment may move, what a tracking number looks like, and what addresses of other shops mean."""

from __future__ import annotations

from typing import Any

import pytest

from contexts.shipping.domain import may_move, new_tracking_no, ship_to
from contexts.shipping.public.contracts import ShipmentStatus as S
from contexts.shipping.public.contracts import ShipTo

pytestmark = pytest.mark.no_database

LEGAL = {
    S.PENDING: {S.PACKED, S.SHIPPED, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED, S.CANCELLED},
    S.PACKED: {S.SHIPPED, S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED, S.CANCELLED},
    S.SHIPPED: {S.IN_TRANSIT, S.OUT_FOR_DELIVERY, S.DELIVERED, S.RETURNED},
    S.IN_TRANSIT: {S.OUT_FOR_DELIVERY, S.DELIVERED, S.RETURNED},
    S.OUT_FOR_DELIVERY: {S.DELIVERED, S.RETURNED},
    S.DELIVERED: {S.RETURNED},
    S.CANCELLED: set(),
    S.RETURNED: set(),
}


@pytest.mark.parametrize("current", list(S))
def test_a_shipment_moves_only_where_the_contract_lets_it(current: S) -> None:
    assert {wanted for wanted in S if may_move(current, wanted)} == LEGAL[current]


def test_tracking_numbers_differ_and_fit_a_path() -> None:
    numbers = {new_tracking_no() for _ in range(1000)}

    assert len(numbers) == 1000
    assert all(len(number) == 15 and number.startswith("ECI") and number.isalnum() for number in numbers)


WHOLE = ShipTo(
    name="Ann Lee",
    company="Lee Ltd",
    lines=("1 Main St", "Apt 4"),
    city="Springfield",
    region="NY",
    postal_code="12345",
    country="US",
    phone="+1 555 0142",
)
SHAPES: list[dict[str, Any]] = [
    {
        "first_name": "Ann", "last_name": "Lee", "name": "Ann Lee", "company": "Lee Ltd", "address1": "1 Main St",
        "address2": "Apt 4", "city": "Springfield", "province": "NY", "zip": "12345", "country": "US",
        "phone": "+1 555 0142",
    },
    {
        "first_name": "Ann", "last_name": "Lee", "company": "Lee Ltd", "address_1": "1 Main St", "address_2": "Apt 4",
        "city": "Springfield", "state": "NY", "postcode": "12345", "country": "US", "phone": "+1 555 0142",
    },
    {
        "firstname": "Ann", "lastname": "Lee", "company": "Lee Ltd", "street": ["1 Main St", "Apt 4"],
        "city": "Springfield", "region": "NY", "postcode": "12345", "country_id": None, "country": "US",
        "telephone": "+1 555 0142",
    },
    {
        "line2": "Apt 4", "line1": "1 Main St", "full_name": "Ann Lee", "company": "Lee Ltd", "city": "Springfield",
        "state": "NY", "postal_code": "12345", "country": "US", "phone": "+1 555 0142",
    },
    {
        "firstName": "Ann", "lastName": "Lee", "companyName": "Lee Ltd", "streetAddress1": "1 Main St",
        "streetAddress2": "Apt 4", "city": "Springfield", "countryArea": "", "region": "NY", "postalCode": "12345",
        "countryCode": "US", "phone": "+1 555 0142",
    },
    {
        "name": "Ann Lee", "company": "Lee Ltd", "lines": ["1 Main St", "Apt 4"], "city": "Springfield",
        "region": "NY", "postal_code": "12345", "country": "US", "phone": "+1 555 0142",
    },
]  # fmt: skip


@pytest.mark.parametrize("given", SHAPES)
def test_an_address_is_understood_as_other_shops_write_it(given: dict[str, Any]) -> None:
    """K7"""
    assert ship_to(given) == WHOLE


def test_nothing_of_an_address_is_lost() -> None:
    """K7"""
    given = {
        "name": "Ann Lee",
        "first_name": "Anna",
        "street": "1 Main St",
        "flat": "4B",
        "country": "Canada",
        "country_code": "CA",
        "delivery": {"door": "blue", "note": "ring\ntwice"},
        "city": None,
    }
    assert ship_to(given, address="ignored", city="Springfield") == ShipTo(
        name="Ann Lee",
        city="Springfield",
        country="Canada",
        lines=(
            "1 Main St",
            "Anna",
            "flat: 4B",
            "country_code: CA",
            "delivery: door: blue",
            "delivery: note: ring",
            "delivery: note: twice",
        ),
    )


def test_a_text_becomes_lines() -> None:
    assert ship_to(" 1 Main  St\r\n\nSpringfield ").lines == ("1 Main St", "Springfield")
    assert ship_to(None, address="1 Main St", city="Springfield") == ShipTo(lines=("1 Main St",), city="Springfield")
    assert ship_to({}) == ShipTo()
