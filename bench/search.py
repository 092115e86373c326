"""Measure what a search costs in a large catalog.

``python -m bench.search PRODUCTS`` makes a catalog database of its own, on SQLite, or behind ``tools/servers.py`` on
PostgreSQL, with PRODUCTS generated products (100,000) whose words are as unevenly frequent as those of a language. It
asks each kind of search QUERIES times, and prints the median and the 95th percentile of processor time: this process's
and that of PostgreSQL's. Unlike the time of a clock it is the same on a busy machine.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from bench import machine  # noqa: E402
from bench.filling import writer  # noqa: E402
from contexts.catalog import domain, search, selectors, words  # noqa: E402
from contexts.catalog.models import Product  # noqa: E402
from eci.paging import Paging  # noqa: E402

QUERIES = 200
BEGUN = datetime(2020, 1, 1, tzinfo=UTC)
SYLLABLES = "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so ta te ti"

chance = random.Random(5)  # noqa: S311
_syllables = SYLLABLES.split()
VOCABULARY = sorted({"".join(chance.choices(_syllables, k=chance.randint(2, 5))) for _ in range(40_000)})
chance.shuffle(VOCABULARY)
CATEGORIES = [f"{VOCABULARY[number]} {VOCABULARY[-number]}".title() for number in range(1, 301)]


def word() -> str:
    return VOCABULARY[int(len(VOCABULARY) * chance.random() ** 4)]


_COLUMNS = (
    *("sku", "barcode", "name", "category", "description", "price_minor", "currency", "created_at", "updated_at"),
    *("name_key", "category_key", "search_text", "price_thousandths", "plain_name", "terms"),
)


def product(number: int) -> tuple[Any, ...]:
    sku, barcode, at = (
        f"{word()[:3].upper()}-{number}",
        f"{10_000_000 + number}",
        f"{BEGUN + timedelta(seconds=number)}",
    )
    name, category = " ".join(word() for _ in range(5)).capitalize(), chance.choice(CATEGORIES)
    description = " ".join(word() for _ in range(25))
    price = int(100 * 10 ** (3.5 * chance.random()))
    return (
        *(sku, barcode, name, category, description, price, "USD", at, at),
        *(domain.name_key(name), domain.category_key(category), domain.search_text(sku, barcode, name, description)),
        *(domain.price_thousandths(price, "USD"), words.plain(name)),
        words.terms(sku=sku, barcode=barcode, name=name, category=category, description=description),
    )


def fill(count: int) -> None:
    """Add what is missing. Indexes of many rows are made sooner than kept."""
    connection, there = connections["catalog"], Product.objects.count()
    if there >= count:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and not there:
            cursor.execute("DROP INDEX IF EXISTS catalog_product_terms, catalog_product_name_parts")
        writer.write(Product, _COLUMNS, map(product, range(there, count)))
        search.install(using="catalog")
        search.learn(known for text in (*VOCABULARY, *CATEGORIES) for known in words.vocabulary(name=text, category=""))
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE catalog_product")


def mistyped() -> str:
    right = next(known for known in iter(word, "") if len(known) > 4)
    at = chance.randrange(1, len(right) - 1)
    return right[:at] + right[at + 1] + right[at] + right[at + 2 :]


def price() -> dict[str, Any]:
    low = int(100 * 10 ** (3 * chance.random()))
    return {"currency": "USD", "min_price": low, "max_price": low * 2}


KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "part of a name": lambda: {"name": word()[1:5]},
    "category and price": lambda: {"category": chance.choice(CATEGORIES), **price()},
    "one word": lambda: {"q": word()},
    "two words": lambda: {"q": f"{word()} {word()}"},
    "a word's beginning": lambda: {"q": word()[:4]},
    "words and category": lambda: {"q": word(), "category": chance.choice(CATEGORIES)},
    "a mistake": lambda: {"q": mistyped()},
    "barcode": lambda: {"q": f"{10_000_000 + chance.randrange(20_000)}"},
    "words by price": lambda: {"q": word(), "order": "price_thousandths"},
    "facets": lambda: {"q": word(), "facets": True},
}


def ask(order: str = "", facets: bool = False, **filters: Any) -> int:
    if facets:
        return selectors.facets(include_inactive=False, **filters).counted
    paging = Paging(limit=20, order=order or ("-rank" if "q" in filters else "-created_at"))
    return len(selectors.products(paging=paging, include_inactive=False, **filters))


def server_ticks() -> float:
    """Of the process that serves our connection, in milliseconds; of SQLite there is none."""
    connection = connections["catalog"]
    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    return machine.parse(Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()).cpu


def measure(kind: str) -> str:
    ours, both, found = [], [], 0
    for _ in range(QUERIES):
        asked = KINDS[kind]()
        began, server = time.process_time(), server_ticks()
        found += ask(**asked)
        ours.append((time.process_time() - began) * 1000)
        both.append(ours[-1] + server_ticks() - server)
    p95 = statistics.quantiles(both, n=20)[18]
    return f"{kind:20}  {statistics.median(both):8.1f} {p95:8.1f} {max(both):8.1f} {found / QUERIES:10.1f}"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    call_command("migrate", "catalog", database="catalog", verbosity=0)
    began = time.process_time()
    fill(count)
    print(f"{count} products on {connections['catalog'].vendor}, made in {time.process_time() - began:.0f} s")
    print(f"{'ms of processor time':20}  {'median':>8} {'p95':>8} {'most':>8} {'found':>10}")
    for kind in KINDS:
        print(measure(kind), flush=True)


if __name__ == "__main__":
    main()
