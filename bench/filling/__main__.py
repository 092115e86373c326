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
from bench.filling import goods, writer  # noqa: E402
from config.contexts import CONTEXTS  # noqa: E402
from eci.clock import utcnow  # noqa: E402

SOLD_OUT = "SOLD-OUT"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.filling", description=__doc__)
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--warehouses", type=int, default=1)
    parser.add_argument("--stock", type=int, default=0, help="stock rows; at least one for each product")
    parser.add_argument("--units", type=int, default=10_000, help="that each stock row begins with")
    parser.add_argument("--retail", type=Path, metavar="FILE")
    parser.add_argument("--sold-out", action="store_true", help="and a product without a unit")
    asked = parser.parse_args()
    sold = list(goods.articles(asked.products, units=asked.units))
    if asked.retail:
        sold += of_retail(asked.retail)
    if asked.sold_out:
        sold.append(goods.Article(sku=SOLD_OUT, name="Sold out", price=1000, units=0))
    shelves = goods.open_shop(sold, customers=asked.customers, warehouses=asked.warehouses, rows=asked.stock)
    shelves.store(goods.moment(utcnow()))
    for context in CONTEXTS:
        writer.refresh_statistics(context)


def of_retail(file: Path) -> list[goods.Article]:
    return [
        goods.Article(sku=one.sku, name=one.name, price=int(one.price * Decimal(100)), units=max(one.needed, 1) * 100)
        for one in retail.plan(retail.read(file)).products
    ]


if __name__ == "__main__":
    main()
