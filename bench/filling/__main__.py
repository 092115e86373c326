"""See the package's docstring. ``--retail FILE`` adds the goods that a file of the real shop sells."""

from __future__ import annotations

import argparse
import os
from decimal import Decimal
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from bench import retail  # noqa: E402
from bench.filling import goods, trade, writer  # noqa: E402
from config.contexts import CONTEXTS  # noqa: E402
from contexts.catalog import category_counts  # noqa: E402
from eci.clock import utcnow  # noqa: E402

SOLD_OUT = "SOLD-OUT"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.filling", description=__doc__)
    for option, usual, words in (
        ("products", 1000, ""),
        ("customers", 200, ""),
        ("warehouses", 1, ""),
        ("stock", 0, "stock rows; at least one for each product"),
        ("units", 10_000, "that each stock row begins with"),
        ("orders", 0, "of the last 400 days"),
        ("lines", 3, "of an order, on average"),
        ("ledger", 0, "lines of the ledger at least; stock counts are added"),
        ("holds", 0, "that have run out and are not swept yet"),
        ("waiting", 0, "events that wait for another try, in orders and in shipping"),
    ):
        parser.add_argument(f"--{option}", type=int, default=usual, help=words)
    parser.add_argument("--retail", type=Path, metavar="FILE", help="the goods of the real shop, too")
    parser.add_argument("--sold-out", action="store_true", help="and a product without a unit")
    asked = parser.parse_args()
    sold = list(goods.articles(asked.products, units=asked.units))
    if asked.retail:
        sold += of_retail(asked.retail)
    if asked.sold_out:
        sold.append(goods.Article(sku=SOLD_OUT, name="Sold out", price=1000, units=0))
    shelves = goods.open_shop(sold, customers=asked.customers, warehouses=asked.warehouses, rows=asked.stock)
    shop = trade.Trade(sold, shelves, customers=asked.customers, lines=asked.lines)
    shop.write(asked.orders)
    trade.write_counts(shelves, asked.ledger - len(shelves.products) - shop.movements)
    trade.write_expired_holds(shelves, asked.orders + 1, asked.holds)
    shelves.store(goods.moment(utcnow()))
    trade.write_waiting_events(asked.waiting)
    category_counts.add_up()  # as beat does
    for context in CONTEXTS:
        writer.refresh_statistics(context)


def of_retail(file: Path) -> list[goods.Article]:
    return [
        goods.Article(sku=one.sku, name=one.name, price=int(one.price * Decimal(100)), units=max(one.needed, 1) * 100)
        for one in retail.plan(retail.read(file)).products
    ]


if __name__ == "__main__":
    main()
