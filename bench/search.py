"""Measure what a search costs in a large catalog.

``python -m bench.search PRODUCTS [CLIENTS]`` makes a catalog database of its own, on SQLite, or behind
``tools/servers.py`` on PostgreSQL, with PRODUCTS generated products (100,000) whose words are as unevenly frequent as
those of a language. CLIENTS processes (4) ask each kind of search QUERIES times in all, one after the other. Printed
are the median and the 95th percentile of the time that a search took, and of its processor time: the client's and that
of its PostgreSQL process. Unlike the time of a clock that is the same on a busy machine.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402

from bench.filling import writer  # noqa: E402
from contexts.catalog import domain, search, search_indexes, selectors, words  # noqa: E402
from contexts.catalog.models import Product  # noqa: E402
from eci.databases import bound_waits  # noqa: E402
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
            cursor.execute("DROP FUNCTION catalog_term_added, catalog_term_changed CASCADE; DROP TABLE catalog_term")
        writer.write(Product, _COLUMNS, map(product, range(there, count)))
        search_indexes.install(using="catalog")
        search.learn(known for text in (*VOCABULARY, *CATEGORIES) for known in words.vocabulary(name=text, category=""))
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


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


def server() -> float:
    """Milliseconds of processor time of the process that serves our connection; of SQLite there is none."""
    connection = connections["catalog"]
    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    return int(Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e6


def client(kind: str, seed: int, queries: int) -> list[tuple[float, float, int]]:
    """Milliseconds by the clock and of processor time of each search, and how many products it found. Its connection is
    like one of web's."""
    bound_waits(settings.ECI_DATABASE_TIMEOUT, statements=True)
    chance.seed(f"{kind} {seed}")
    answers = []
    for _ in range(queries):
        asked = KINDS[kind]()
        theirs, ours, began = server(), time.process_time(), time.perf_counter()
        found = ask(**asked)
        took = (time.perf_counter() - began) * 1000
        answers.append((took, (time.process_time() - ours) * 1000 + server() - theirs, found))
    return answers


def line(kind: str, answers: list[tuple[float, float, int]]) -> str:
    took, spent, found = zip(*answers, strict=True)
    figures = [figure for times in (took, spent) for figure in (statistics.median(times), p95(times), max(times))]
    return f"{kind:20}" + "".join(f"{figure:9.1f}" for figure in (*figures, statistics.mean(found)))


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[18]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    call_command("migrate", "catalog", database="catalog", verbosity=0)
    began = time.process_time()
    fill(count)
    print(f"{count} products on {connections['catalog'].vendor}, made in {time.process_time() - began:.0f} s")
    print(f"{clients} clients, load {os.getloadavg()[0]:.1f} before")
    print(f"{'ms':20}{'median':>9}{'p95':>9}{'most':>9}{'CPU':>9}{'p95':>9}{'most':>9}{'found':>9}")
    connections.close_all()
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        for kind in KINDS:
            asked = [(kind, seed, QUERIES // clients) for seed in range(clients)]
            print(
                line(kind, [one for answers in pool.starmap(client, asked, chunksize=1) for one in answers]), flush=True
            )
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
