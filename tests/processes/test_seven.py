"""Every context in a process of its own: an order through all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.contexts import CONTEXTS
from eci.http import docs
from tests.contexts.orders.workflows.test_backward import (  # noqa: F401
    test_cancelling_a_paid_order_gives_stock_and_money_back,
)
from tests.contexts.orders.workflows.test_forward import (  # noqa: F401
    test_pay_later_waits_and_a_charge_carries_it_on,
    test_warehouse_fulfilment_ships_what_staff_dispatches,
)
from tests.contexts.orders.workflows.test_placing import (  # noqa: F401
    test_a_declined_payment_cancels_and_frees_the_stock,
    test_an_order_is_paid_shipped_and_both_notices_are_sent,
)
from tests.contexts.orders.workflows.test_returning import (  # noqa: F401
    test_returns_restock_refund_and_end_returned,
)
from tests.processes.test_two import require_sound_books
from tests.support import world
from tests.support.cut import Cut, cut
from tests.support.shop import Shop

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]


_INBOX = """
from contexts.orders.models import InboxEvent
print(*InboxEvent.objects.order_by("received_at").values_list("name", flat=True))
"""


@pytest.fixture(scope="module")
def running(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cut]:
    with cut(seed, tmp_path_factory.mktemp("seven"), {context: (context,) for context in CONTEXTS}) as started:
        yield started


@pytest.fixture
def api(running: Cut) -> Iterator[Cut]:
    running.clear()
    yield running


def test_the_books_agree_across_seven_processes(api: Cut, shop: Shop) -> None:
    for _ in range(3):
        assert shop.order().status == 201
    require_sound_books(api, 3)


def test_consumers_that_were_away_catch_up_in_the_order_of_events(api: Cut, shop: Shop) -> None:
    order = shop.order(fulfilment="warehouse").data
    shipment = f"/v1/shipments/{order['shipments'][0]['shipment_id']}"
    assert shop.notices(order["order_id"]) == ["order_confirmation"]
    away = [api.services[name] for name in ("orders", "notifications")]
    for service in away:
        service.kill()
    try:
        for status in ("SHIPPED", "IN_TRANSIT", "DELIVERED"):
            assert api.patch(shipment, {"status": status}).status == 200, "shipping needs neither"
            assert api.services["shipping"].ask("work") == 0, "nobody takes an event"
    finally:
        for service in away:
            service.start()
        for service in away:
            service.wait()
    assert shop.read(order["order_id"])["status"] == "CONFIRMED"
    api.hasten()
    api.settle()
    seen = shop.read(order["order_id"])
    assert seen["status"] == "DELIVERED"
    assert [one["event"] for one in seen["timeline"]][-1] == "delivered"
    assert shop.stock() == (98, 0, 98)
    assert shop.notices(order["order_id"]) == ["order_confirmation", "shipping_confirmation"]
    require_sound_books(api, 1)
    told = [name for name in api.services["orders"].run(_INBOX).stdout.split() if name.startswith("shipping.")]
    assert told == ["shipping.shipment_dispatched.v1", "shipping.shipment_delivered.v1"], "the oldest first, each once"


def test_each_is_healthy_and_answers_for_itself_alone(running: Cut) -> None:
    for context, service in running.services.items():
        assert service.api.get("/health").json == {"status": "healthy", "contexts": {context: "healthy"}}
    assert running.services["orders"].api.get("/v1/products").status == 404


def test_each_speaks_for_all(running: Cut) -> None:
    """Health, and the same OpenAPI document as of one process that hosts all."""
    whole = docs.schema()
    for context in ("orders", "catalog"):
        asked = running.services[context].api
        everything = asked.get("/health/all").json
        assert everything["status"] == "healthy" and everything["contexts"] == dict.fromkeys(CONTEXTS, "healthy")
        assert set(everything["breakers"]) == set(CONTEXTS) - {context}
        document = asked.get("/schema/all?format=json").json
        assert document["paths"].keys() == whole["paths"].keys()
        assert document["components"].keys() == whole["components"].keys()
        for kind, parts in whole["components"].items():
            assert document["components"][kind].keys() == parts.keys()
