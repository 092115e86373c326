"""PostgreSQL, MariaDB and Redis are frozen in turn: they take connections and answer nothing, as with a stalled disk.

How long what took is logged: ``pytest --log-cli-level=INFO tests/trouble/outages/test_servers_hang.py``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.api import Answer
from tests.support.product import DemoShop, Product, wait_until
from tests.support.trade import OPENING, Books, Trade, require_retryable_answers, require_sound
from tests.support.world import ON_SERVERS, environment
from tools.servers import Server, Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ON_SERVERS, reason="freezes servers; SQLite and the file broker have none"),
    pytest.mark.first(2),
]

log = logging.getLogger(__name__)

REFUSED = 4  # answers of each kind that are waited for while a server is frozen
RECOVERED = 10  # seconds after it goes on


@contextmanager
def frozen(server: Server, trade: Trade) -> Iterator[str]:
    """While it is frozen; the name of the phase."""
    phase = f"{server.name} frozen"
    server.freeze()
    trade.phase = phase
    try:
        yield phase
    finally:
        trade.phase = f"{server.name} goes on"
        server.thaw()


def test_a_server_that_hangs_is_a_503_of_its_contexts_and_nobody_else_s(servers: Servers, tmp_path: Path) -> None:
    product = Product(tmp_path / "var", environment(tmp_path / "var", servers.environment()))
    try:
        product.start()
        shop = DemoShop(product.api)
        trade = Trade(product, shop.sell("HANGS", price="9.99", WH001=OPENING))
        order = shop.order(trade.product_id).data
        of_postgres = {
            "catalog": "/v1/products",
            "inventory": f"/v1/inventory/availability/{trade.product_id}",
            "payments": "/v1/payments",
        }
        of_mariadb = {
            "shipping": f"/v1/shipments/track/{order['shipments'][0]['tracking_no']}",
            "orders": f"/v1/orders/{order['order_id']}",
        }
        clients = [threading.Thread(target=trade.buy) for _ in range(2)]
        clients += [
            threading.Thread(target=trade.read, args=(context, [path]))
            for context, path in [*(of_postgres | of_mariadb).items(), ("live", "/health/live"), ("health", "/health")]
        ]
        for client in clients:
            client.start()
        try:
            hung: list[tuple[Server, dict[str, str], list[str]]] = [
                (servers.postgres, of_postgres, ["shipping", "live", "health", "orders"]),
                (servers.mariadb, of_mariadb, [*of_postgres, "live", "health"]),
                (servers.redis, {}, [*of_postgres, *of_mariadb, "live", "health", "order"]),
            ]
            for server, away, here in hung:
                with frozen(server, trade) as phase:
                    for context, path in away.items():
                        require_refused(trade, phase, context, lambda path=path: product.api.get(path))
                    if server is servers.postgres:
                        read = product.api.get(of_mariadb["orders"])
                        assert (read.status, read.data["unavailable"]) == (200, ["inventory", "payments"])
                        assert read.data["reservation"] is None and read.data["payments"] is None
                    for what in here:
                        wait_until(lambda: len(trade.during(phase, what)) >= REFUSED, 60, f"{what}, {phase}")  # noqa: B023
                log.info("%s", trade.figures(phase))
                assert [
                    call for what in here for call in trade.during(phase, what) if call.status not in (200, 201)
                ] == []
                for context, path in away.items():
                    wait_until(lambda: product.api.get(path).status == 200, RECOVERED, f"{context} again")  # noqa: B023
                for context in away:  # in each of the processes
                    wait_until(lambda: recovered(trade, server, context), RECOVERED, f"{context} everywhere")  # noqa: B023
                waiting = trade.asked - set(trade.placed)
                wait_until(lambda: waiting <= set(trade.placed), 60, "what was asked meanwhile is ordered")  # noqa: B023
        finally:
            trade.over.set()
            for client in clients:
                client.join(60)
        books = Books(servers.environment(), product.data_dir)
        wait_until(lambda: not books.unsettled(max(trade.placed.values())), 60, "every order ends")
        require_retryable_answers(trade)
        require_sound(trade, books)
        product.require_sound_books()
        product.stop()
    finally:
        product.clean_up()


def recovered(trade: Trade, server: Server, context: str) -> bool:
    last = [call.status for call in trade.during(f"{server.name} goes on", context)][-REFUSED:]
    return last == [200] * REFUSED


def require_refused(trade: Trade, phase: str, context: str, ask: Callable[[], Answer]) -> None:
    refused = wait_until(lambda: answer if (answer := ask()).status != 200 else None, 60, f"{context} is refused")
    assert (refused.status, refused.code, refused.details["context"]) == (503, "context_unavailable", context)
    assert refused.headers["Retry-After"] and context in refused.json["error"]
    wait_until(lambda: len(trade.during(phase, context)) >= REFUSED, 60, f"{context}, {phase}")
