"""Customers, products, and the stock with which the shop opens."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bench.filling.writer import write
from contexts.catalog import domain, words
from contexts.catalog.models import PriceChange, Product
from contexts.customers.domain import name_key
from contexts.customers.models import Customer
from contexts.inventory.models import Movement, MovementKind, Stock, Warehouse
from eci.clock import utcnow
from eci.identity.passwords import NO_PASSWORD

ACTOR = "command:bench"
CURRENCY = "USD"
_KINDS = ("Lamp", "Rug", "Chair", "Table", "Mug", "Clock", "Frame", "Candle", "Basket", "Cushion")
_LOOKS = ("Red", "Blue", "Oak", "Glass", "Linen", "Brass", "Small", "Large", "Round", "Folding", "Vintage")


@dataclass(frozen=True)
class Article:
    """What is sold: ``units`` are there when the shop opens, in each of its warehouses."""

    sku: str
    name: str
    price: int  # minor units
    units: int
    category: str = ""


@dataclass
class Shelves:
    """The stock rows as they stand in memory. A row's index is its id less 1.

    ``reserved`` and ``on_hand`` are written once, after the orders that change them; see ``store``.
    """

    warehouses: Sequence[str]
    products: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))  # indexes of warehouses
    on_hand: array[int] = field(default_factory=lambda: array("q"))
    reserved: array[int] = field(default_factory=lambda: array("q"))

    def add(self, product_id: int, place: int, units: int) -> None:
        self.products.append(product_id)
        self.places.append(place)
        self.on_hand.append(units)
        self.reserved.append(0)

    def receipts(self, at: str) -> Iterator[tuple[object, ...]]:
        for product_id, place, units in zip(self.products, self.places, self.on_hand, strict=True):
            if units:
                yield product_id, self.warehouses[place], units, units, MovementKind.RECEIPT.value, "receipt", ACTOR, at

    def store(self, at: str) -> None:
        rows = zip(self.products, self.places, self.on_hand, self.reserved, strict=True)
        write(
            Stock,
            ("id", "product_id", "warehouse_id", "on_hand", "reserved", "created_at", "updated_at"),
            (
                (number, product_id, self.warehouses[place], on_hand, reserved, at, at)
                for number, (product_id, place, on_hand, reserved) in enumerate(rows, 1)
            ),
        )


def moment(at: datetime) -> str:
    """A time as all the engines take it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def articles(count: int, *, units: int) -> Iterator[Article]:
    for number in range(1, count + 1):
        kind, look = _KINDS[number % len(_KINDS)], _LOOKS[number % len(_LOOKS)]
        yield Article(
            sku=f"SKU-{number:07}",
            name=f"{look} {kind} {number}",
            price=500 + number * 37 % 20_000,
            units=units,
            category=f"{kind}s {number % 97}",
        )


def open_shop(goods: Sequence[Article], *, customers: int, warehouses: int, rows: int) -> Shelves:
    """Write customers, products and receipts; the shelves, which are still to be stored.

    ``rows``: of stock, over the warehouses; each product has one at least.
    """
    opened = moment(utcnow() - timedelta(days=800))
    _write_customers(customers)
    _write_products(goods, opened)
    codes = [f"WH{number:03}" for number in range(1, warehouses + 1)]
    write(
        Warehouse,
        ("code", "name", "priority"),
        ((code, f"Warehouse {code}", priority) for priority, code in enumerate(codes, 1)),
    )
    shelves = Shelves(codes)
    for turn in range(max(1, -(-rows // len(goods)))):
        for product_id, article in enumerate(goods, 1):
            if turn and len(shelves.products) >= rows:
                break
            shelves.add(product_id, (product_id + turn) % warehouses, article.units)
    columns = ("product_id", "warehouse_id", "delta", "on_hand", "kind", "reason", "actor", "at")
    write(Movement, columns, shelves.receipts(opened))
    return shelves


def _terms(one: Article) -> str:
    return words.terms(sku=one.sku, barcode="", name=one.name, category=one.category, description="")


def _write_customers(count: int) -> None:
    begun = utcnow() - timedelta(days=800)
    step = timedelta(days=700) / (count or 1)
    columns = ("id", "email", "email_key", "full_name", "name_key", "password", "created_at", "updated_at")
    write(
        Customer,
        columns,
        (
            (number, email, email, name, name_key(name), NO_PASSWORD, at, at)
            for number in range(1, count + 1)
            for name, email in [(f"Customer {number}", f"c{number}@example.com")]
            for at in [moment(begun + step * number)]
        ),
    )


def _write_products(goods: Sequence[Article], opened: str) -> None:
    columns = ("id", "sku", "name", "category", "price_minor", "currency", "created_at", "updated_at")
    derived = ("name_key", "category_key", "search_text", "price_thousandths", "plain_name", "terms")
    begun = utcnow() - timedelta(days=800)
    step = timedelta(days=700) / (len(goods) or 1)
    write(
        Product,
        columns + derived,
        (
            (number, one.sku, one.name, one.category, one.price, CURRENCY, moment(at), moment(at))
            + (domain.name_key(one.name), domain.category_key(one.category))
            + (domain.search_text(one.sku, one.name, ""), domain.price_thousandths(one.price, CURRENCY))
            + (words.plain(one.name), _terms(one))
            for number, one in enumerate(goods, 1)
            for at in [begun + step * number]
        ),
    )
    write(
        PriceChange,
        ("product_id", "price_minor", "currency", "actor", "at"),
        ((number, one.price, CURRENCY, ACTOR, opened) for number, one in enumerate(goods, 1)),
    )
