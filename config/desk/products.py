"""The sheet of a product: what it costs and did cost, where it is, and who ordered it last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from config.desk.asking import User, may, unless_away
from config.desk.charts import Chart, chart
from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Priced, Product
from contexts.inventory.public.api import inventory
from contexts.inventory.public.contracts import StockLevel
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import ProductSold
from eci import money
from eci.clock import utcnow
from eci.staff import page

PRICES = 200  # the newest, that make the line
TOLD = 10  # of them, and of its orders, that are listed
SEES = ("catalog.view_product", "inventory.view_stock")  # who has one of these sees the page


@dataclass(frozen=True, kw_only=True)
class ProductSheet:
    """``stock`` and ``orders`` are None for those who may not see them, and where their context is away, which is
    named."""

    product: Product
    price: str
    edit_url: str
    receive_url: str
    line: Chart | None
    prices: tuple[tuple[Priced, str], ...]
    stock: tuple[tuple[StockLevel, str], ...] | None
    orders: tuple[ProductSold, ...] | None
    unavailable: tuple[str, ...]

    @property
    def available(self) -> int:
        return sum(level.available for level, _ in self.stock or ())


def sheet(product_id: int, user: User) -> ProductSheet:
    """ProductNotFound."""
    product = catalog.products(product_ids=[product_id])[product_id]
    prices = catalog.prices_of(product_id=product_id, limit=PRICES)
    away: list[str] = []
    stock = sold = None
    if may(user, "inventory.view_stock"):
        stock = unless_away("inventory", away, lambda: inventory.stock_of(product_id=product_id))
    if may(user, "orders.view_order"):
        sold = unless_away("orders", away, lambda: orders.of_product(product_id=product_id, limit=TOLD))
    return ProductSheet(
        product=product,
        price=_amount(product.price, product.currency),
        edit_url=page("admin:catalog_product_change", product_id) if may(user, "catalog.view_product") else "",
        receive_url=page("admin:inventory_stock_receipt", sku=product.sku)
        if may(user, "inventory.change_stock")
        else "",
        line=_line(product, prices),
        prices=tuple((one, _amount(one.price, one.currency)) for one in prices[::-1][:TOLD]),
        stock=None
        if stock is None
        else tuple((level, page("admin:inventory_stock_change", level.inventory_id)) for level in stock),
        orders=sold,
        unavailable=tuple(away),
    )


def _line(product: Product, prices: tuple[Priced, ...]) -> Chart | None:
    """What it cost, in the currency of now, until now."""
    known: list[tuple[datetime, Decimal]] = [(one.at, one.price) for one in prices if one.currency == product.currency]
    if known:
        known.append((utcnow(), product.price))
    return chart("Price", known, say=lambda value: _amount(value, product.currency), steps=True)


def _amount(value: Decimal, currency: str) -> str:
    return f"{money.text(value, currency)} {currency}"
