"""What an order would cost: prices and names from the catalog, tax, shipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django.conf import settings

from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import Product
from contexts.customers.public.api import customers
from contexts.orders.domain import Line, LineAsked, OrderAsked, Quote, totals
from contexts.orders.public.contracts import NoFeeForCurrency, PriceChanged, ProductUnavailable
from eci import money
from eci.errors import Conflict, InvalidRequest


class MixedCurrencies(Conflict):
    code = "mixed_currencies"


def quote(*, asked: OrderAsked) -> Quote:
    """What the order would cost; nothing is held.

    CustomerNotFound, ProductNotFound, ProductUnavailable, PriceChanged, MixedCurrencies, NoFeeForCurrency;
    InvalidRequest for a price that the currency cannot express and for a total of too many digits.
    """
    if asked.customer_id is not None:
        customers.customer(customer_id=asked.customer_id)
    products = catalog.products(product_ids=sorted({line.product_id for line in asked.lines}))
    _require_sellable(asked.lines, products)
    currency = _one_currency(products)
    lines = [_priced(number, line, products[line.product_id], currency) for number, line in enumerate(asked.lines)]
    cost = totals(lines, tax_rate=settings.ECI_TAX_RATE, shipping=_shipping_fee(currency))
    if cost.total >= 10**money.MAX_DIGITS:
        raise InvalidRequest(
            f"An order's total has at most {money.MAX_DIGITS} digits.", items=["The total is too large."]
        )
    return Quote(currency=currency, lines=lines, totals=cost)


def _require_sellable(lines: Sequence[LineAsked], products: Mapping[int, Product]) -> None:
    for line in lines:
        if not products[line.product_id].is_active:
            raise ProductUnavailable(f"Product {line.product_id} is no longer sold.", product_id=line.product_id)
    changed = {
        line.product_id: products[line.product_id]
        for index, line in enumerate(lines)
        if line.price is not None
        and _minor(index, "price", line.price, products[line.product_id].currency)
        != money.to_minor(products[line.product_id].price, products[line.product_id].currency)
    }
    if changed:
        raise PriceChanged(
            "A price has changed.",
            items=[
                {"product_id": product_id, "price": money.text(product.price, product.currency)}
                for product_id, product in changed.items()
            ],
        )


def _one_currency(products: Mapping[int, Product]) -> str:
    currencies = sorted({product.currency for product in products.values()})
    if len(currencies) > 1:
        raise MixedCurrencies(f"One order has one currency, not {' and '.join(currencies)}.", currencies=currencies)
    return currencies[0]


def _shipping_fee(currency: str) -> int:
    """In minor units."""
    fee = settings.ECI_SHIPPING_FEES.get(currency)
    if fee is None:
        raise NoFeeForCurrency(f"The shop has no shipping fee in {currency}.", currency=currency)
    return money.to_minor(fee, currency)


def _minor(index: int, field: str, amount: Decimal, currency: str) -> int:
    try:
        return money.to_minor(amount, currency)
    except ValueError as error:
        details = {str(index): {field: [str(error)]}}
        raise InvalidRequest(f"items.{index}.{field}: {error}", items=details) from None


def _priced(index: int, line: LineAsked, product: Product, currency: str) -> Line:
    catalog_price = money.to_minor(product.price, currency)
    unit_price = catalog_price if line.unit_price is None else _minor(index, "unit_price", line.unit_price, currency)
    return Line(
        product_id=product.product_id,
        sku=product.sku,
        name=product.name,
        quantity=line.quantity,
        unit_price=unit_price,
        catalog_price=catalog_price,
    )
