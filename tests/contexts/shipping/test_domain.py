"""Which status may follow which, and tracking numbers."""

from __future__ import annotations

import pytest

from contexts.shipping.domain import may_move, new_tracking_no
from contexts.shipping.public.contracts import ShipmentStatus as S

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
