"""The whole product with a provider over HTTP, whose webhook comes before its answers, and which is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import world
from tests.support.product import DemoShop, Product, at_once, wait_until
from tests.support.provider_process import SECRET, ProviderProcess

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.first(9)]


def test_orders_are_paid_once_whatever_the_provider_does(
    provider: ProviderProcess, demo_seed: world.Seed, tmp_path: Path
) -> None:
    settings = {
        "ECI_GATEWAY": "http",
        "ECI_GATEWAY_URL": provider.url,
        "ECI_GATEWAY_SECRET": SECRET,
        "ECI_WEBHOOK_SECRETS": f"{SECRET},the next one",
    }
    with world.world(demo_seed, tmp_path / "var", **settings) as environment:
        product = Product(tmp_path / "var", environment)
        try:
            product.start()
            provider.begin(provider.ledger, webhook_url=f"{product.url}/v1/payments/webhooks/http")
            demo = DemoShop(product.api)
            product_id = demo.sell("HTTP", WH001=100)
            told_early = told_by_webhook(provider, demo, product_id)
            unheard = lost_answers(provider, demo, product_id)
            down = asked_while_down(provider, demo, product_id)
            orders = [*told_early, *unheard, *down]
            wait_until(
                lambda: {demo.read(order_id)["status"] for order_id in orders} == {"SHIPPED"}, 60, "all are paid"
            )
            assert provider.done() == {"charge": 12}
            assert demo.stock(product_id) == (88, 0, 88)
            product.require_sound_books()
            product.stop()
        finally:
            product.clean_up()


def told_by_webhook(provider: ProviderProcess, demo: DemoShop, product_id: int) -> list[str]:
    provider.script("charge", "webhook first", times=6)
    placed = at_once([lambda: demo.order(product_id) for _ in range(3)], 3)
    assert [answer.status for answer in placed] == [201] * 3
    later = [demo.order(product_id, pay_later=True).data for _ in range(3)]
    charges = [{"order_id": order["order_id"], "amount": order["order_total"]} for order in later]
    paid = at_once([lambda asked=asked: demo.api.post("/v1/payments/charge", asked) for asked in charges], 3)
    assert [(answer.status, answer.data["status"]) for answer in paid] == [(200, "COMPLETED")] * 3
    return [answer.data["order_id"] for answer in placed] + [order["order_id"] for order in later]


def lost_answers(provider: ProviderProcess, demo: DemoShop, product_id: int) -> list[str]:
    provider.script("charge", "cut", times=3)
    placed = [demo.order(product_id) for _ in range(3)]
    assert [answer.status for answer in placed] == [202] * 3
    return [answer.data["order_id"] for answer in placed]


def asked_while_down(provider: ProviderProcess, demo: DemoShop, product_id: int) -> list[str]:
    provider.kill()
    placed = at_once([lambda: demo.order(product_id) for _ in range(3)], 3)
    assert [answer.status for answer in placed] == [202] * 3
    provider.start()
    provider.begin(provider.ledger)
    return [answer.data["order_id"] for answer in placed]
