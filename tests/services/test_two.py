"""Stock and money in a process of their own: the workflows' own tests again, over HTTP, and what such a cut must do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import world
from tests.services.cut import Cut, cut
from tests.workflows.shop import Shop
from tests.workflows.test_after_placing import (  # noqa: F401
    test_a_declined_charge_leaves_the_order_waiting_for_another,
    test_a_refund_by_staff_shows_on_the_order,
    test_cancel_refunds_only_what_is_left,
    test_cancelling_a_paid_order_gives_stock_and_money_back,
    test_cancelling_while_the_provider_is_silent_ends_cancelled,
    test_pay_later_refuses_a_wrong_amount_and_a_second_charge,
    test_pay_later_waits_and_a_charge_carries_it_on,
    test_returns_restock_refund_and_end_returned,
    test_stock_and_parcels_of_an_order_change_only_through_it,
    test_warehouse_fulfilment_ships_what_staff_dispatches,
)
from tests.workflows.test_place_order import (  # noqa: F401
    test_a_declined_payment_cancels_and_frees_the_stock,
    test_a_refusal_is_kept_for_its_key,
    test_a_split_order_sends_one_shipping_notice_for_each_parcel,
    test_an_inactive_product_is_not_sold,
    test_an_order_is_paid_shipped_and_both_notices_are_sent,
    test_no_answer_and_nothing_done_is_a_decline_once_asked,
    test_no_answer_from_the_provider_settles_by_itself,
    test_the_answer_is_what_a_read_gives,
    test_the_same_key_gives_the_same_order,
    test_too_many_units_leave_no_trace,
    test_two_lines_of_one_product_are_one_demand,
)

pytestmark = pytest.mark.e2e

PARTS = {
    "front": ("catalog", "customers", "shipping", "orders", "notifications"),
    "back": ("inventory", "payments"),
}


@pytest.fixture(scope="module")
def running(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cut]:
    with cut(seed, tmp_path_factory.mktemp("two"), PARTS) as started:
        yield started


@pytest.fixture
def api(running: Cut) -> Iterator[Cut]:
    running.clear()
    yield running


@pytest.fixture
def shop(api: Cut) -> Shop:
    return Shop.open(api)
