"""Redis, PostgreSQL and MariaDB go away in turn under a running product that people order from.

PostgreSQL is killed and MariaDB stopped; ECI_E2E_ENDING=stop|kill does the same to both. ECI_E2E_AWAY=2: they are away
for twice as long. What was counted is logged:
``pytest --log-cli-level=INFO tests/trouble/outages/test_servers_away.py``.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.product import DemoShop, Product, wait_until
from tests.support.trade import OPENING, Books, Trade, require_retryable_answers, require_sound
from tests.support.world import ON_SERVERS, environment
from tools.servers import Server, Servers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ON_SERVERS, reason="stops servers; SQLite and the file broker have none"),
    pytest.mark.first(1),
]

log = logging.getLogger(__name__)

AWAY = float(os.environ.get("ECI_E2E_AWAY", "1"))
REDIS_AWAY, DATABASE_AWAY = 15 * AWAY, 10 * AWAY  # seconds
DRAINED, SETTLED = 30, 60  # seconds after the server is back
BUYERS = 2
ENDING = os.environ.get("ECI_E2E_ENDING", "")


def test_servers_go_away_in_turn(servers: Servers, tmp_path: Path) -> None:
    product = Product(tmp_path / "var", environment(tmp_path / "var", servers.environment()))
    try:
        product.start()
        trade = Trade(product, DemoShop(product.api).sell("OUTAGE", price="9.99", WH001=OPENING))
        first = DemoShop(product.api).order(trade.product_id).data
        tracking = first["shipments"][0]["tracking_no"]
        clients = [threading.Thread(target=trade.buy) for _ in range(BUYERS)]
        for what, paths in {
            "PostgreSQL read": ["/v1/products", f"/v1/inventory/availability/{trade.product_id}", "/v1/payments"],
            "MariaDB read": [f"/v1/shipments/track/{tracking}", f"/v1/shipments?order_id={first['order_id']}"],
            "order read": [f"/v1/orders/{first['order_id']}"],
            "health": ["/health"],
        }.items():
            clients.append(threading.Thread(target=trade.read, args=(what, paths)))
        for client in clients:
            client.start()
        books = Books(servers.environment(), product.data_dir)
        alive = product.processes("eci-web", "eci-worker", "eci-beat")
        try:
            time.sleep(3)
            outage(trade, books, servers.redis, REDIS_AWAY, DRAINED, end=servers.redis.stop)
            postgres, mariadb = servers.postgres, servers.mariadb
            killed = postgres.stop if ENDING == "stop" else postgres.kill
            stopped = mariadb.kill if ENDING == "kill" else mariadb.stop
            outage(trade, books, postgres, DATABASE_AWAY, SETTLED, end=killed)
            outage(trade, books, mariadb, DATABASE_AWAY, SETTLED, end=stopped)
        finally:
            trade.over.set()
            for client in clients:
                client.join(60)
        assert product.processes("eci-web", "eci-worker", "eci-beat") == alive, "a process ended, or was replaced"
        require_settled(trade, books, max(trade.placed.values()), SETTLED, "the last orders end")
        require_retryable_answers(trade)
        require_others_went_on(trade)
        require_sound(trade, books)
        product.require_sound_books()
        product.stop()
    finally:
        product.clean_up()


def outage(
    trade: Trade, books: Books, server: Server, seconds: float, limit: float, *, end: Callable[[], None]
) -> None:
    """Take the server away from its clients, bring it back, and wait until everything asked for until then is done."""
    name = server.name
    end()
    trade.phase = f"{name} away"
    time.sleep(seconds)
    trade.phase = f"{name} comes back"
    server.start()
    back = time.monotonic()
    waiting = trade.asked - set(trade.placed)
    wait_until(lambda: waiting <= set(trade.placed), limit, f"each key asked during {name}'s outage has its order")
    answered = time.monotonic() - back
    upto = max(trade.placed.values())
    require_settled(trade, books, upto, limit - answered, f"everything settled after {name}'s outage")
    settled = time.monotonic() - back
    for phase in (f"{name} away", f"{name} comes back"):
        log.info("%s", trade.figures(phase))
    log.info("%s: keys answered after %.1f s, all settled after %.1f s", name, answered, settled)
    trade.phase = "between"


def require_settled(trade: Trade, books: Books, upto: str, seconds: float, what: str) -> None:
    """Nothing of the orders up to this one is under way after so many seconds; a failure names what is."""
    try:
        wait_until(lambda: not books.unsettled(upto), seconds, what)
    except AssertionError as late:
        pytest.fail(f"{late}\nstill under way: {books.unsettled(upto)}\n{trade.product.tail()}")


def require_others_went_on(trade: Trade) -> None:
    """No outage is felt where it has no business."""
    untouched = {
        "Redis away": ("order", "PostgreSQL read", "MariaDB read", "order read", "health"),
        "PostgreSQL away": ("MariaDB read", "health"),
        "MariaDB away": ("PostgreSQL read", "health"),
    }
    for phase, kinds in untouched.items():
        for what in kinds:
            calls = trade.during(phase, what)
            assert calls, f"nobody asked for: {what}, {phase}"
            assert [call for call in calls if call.status not in (200, 201)] == []
