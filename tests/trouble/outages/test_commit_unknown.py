"""The connection breaks while COMMIT is under way: whether it happened is unknown. An order is recorded once all the
same, and of anything else the repeated key tells."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support import world
from tests.support.product import DemoShop, Product, wait_until
from tests.support.trade import OPENING, Books, Trade, require_retryable_answers, require_sound
from tests.support.wire import Wire

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not world.ON_SERVERS, reason="SQLite has no connection to lose"),
    pytest.mark.first(9),
]

log = logging.getLogger(__name__)

CUTS = 8  # at each server
EVERY = 15  # COMMITs: who records an order anew at once is not cut again


@contextmanager
def wired(environment: dict[str, str]) -> Iterator[tuple[dict[str, str], dict[str, Wire]]]:
    """The environment with a wire in front of each database server, by the server's kind."""
    wires: dict[str, Wire] = {}
    changed = dict(environment)
    with ExitStack() as stack:
        for setting, url in environment.items():
            if setting.startswith("ECI_") and setting.endswith("_DATABASE_URL"):
                parts = urlsplit(url)
                if parts.scheme not in wires:
                    wires[parts.scheme] = Wire((str(parts.hostname), int(parts.port or 0)))
                    stack.callback(wires[parts.scheme].close)
                place = parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{wires[parts.scheme].port}"
                changed[setting] = urlunsplit(parts._replace(netloc=place))
        yield changed, wires


def test_commits_are_cut_under_load(demo_seed: world.Seed, tmp_path: Path) -> None:
    with world.world(demo_seed, tmp_path / "var") as environment, wired(environment) as (through, wires):
        product = Product(tmp_path / "var", through)
        try:
            product.start()
            trade = Trade(product, DemoShop(product.api).sell("WIRE", price="9.99", WH001=OPENING))
            DemoShop(product.api).order(trade.product_id)
            books = Books(environment, product.data_dir)
            buyers = [threading.Thread(target=buy) for buy in 4 * [trade.buy] + 4 * [trade.buy_without_key]]
            for buyer in buyers:
                buyer.start()
            for wire in wires.values():
                wire.nth = EVERY
            try:
                wait_until(lambda: all(sum(wire.cut.values()) >= CUTS for wire in wires.values()), 90, "enough cuts")
            finally:
                for wire in wires.values():
                    wire.nth = 0
                trade.over.set()
                for buyer in buyers:
                    buyer.join(60)
            log.info("%s; %s", {kind: wire.cut for kind, wire in wires.items()}, trade.figures("before"))
            newest = max([*trade.placed.values(), *trade.without_key().values()])
            wait_until(lambda: not books.unsettled(newest), 60, "every order ends")
            require_retryable_answers(trade)
            require_sound(trade, books)
            product.require_sound_books()
            product.stop()
        finally:
            product.clean_up()
