"""The front page's figures. Each links to the list behind it, and costs the same however long the shop has traded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from config.books import audit, checkup
from config.books.pages import LOOKS
from config.desk.asking import User, may, unless_away
from config.desk.charts import Chart, chart
from contexts.catalog.public.api import catalog
from contexts.catalog.public.contracts import ProductCounts
from contexts.inventory.public.api import inventory
from contexts.orders.public.api import orders
from contexts.orders.public.contracts import Sales
from contexts.payments.public.api import payments
from contexts.shipping.public.api import shipping
from eci import money
from eci.clock import utcnow
from eci.remembered import Remembered
from eci.staff import page

KEPT = 5.0  # seconds
NOT_KNOWN = "not known just now"
SOON = 600  # seconds
DAYS = 30
WEEK = timedelta(days=7)
AUDITED = frozenset(kind.value for kind in audit.Kind)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """``needed``: who has one of these permissions of the list that ``url`` leads to may see it."""

    name: str
    figure: str
    note: str
    url: str
    needed: tuple[str, ...]
    urgent: bool = False

    @property
    def known(self) -> bool:
        return self.figure != NOT_KNOWN


_kept: Remembered[str, tuple[Tile, ...]] = Remembered(KEPT)


def tiles(user: User) -> list[Tile]:
    """Today's figures, as far as the user may see them. A context that is away leaves its figure unknown."""
    found = _kept.get_or_load("tiles", _tiles)
    return [tile for tile in found if tile.url and any(may(user, code) for code in tile.needed)]


def _tiles() -> tuple[Tile, ...]:
    day = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    switch = orders.switch()
    stopped = Tile(
        name="New orders",
        figure="stopped",
        note=f"since {_when(switch.at)}, by {switch.actor}: {switch.reason}",
        url=page("staff-reconcile"),
        needed=LOOKS,
        urgent=True,
    )
    return (
        *([] if switch.taking else [stopped]),
        *_sold(day),
        *_products(),
        _payments(day),
        *_holds(),
        _low(),
        _to_dispatch(),
        *_books(),
    )


def _sold(day: datetime) -> tuple[Tile, ...]:
    sales, placed = orders.sales(since=day), orders.placed(since=day)
    value = ", ".join(_amount(one.value, one.currency) for one in sales) or "nothing yet"
    average = ", ".join(_amount(_average(one), one.currency) for one in sales) or "nothing yet"
    of_today = _made_since(day)
    seen = ("orders.view_order",)
    listed = page("admin:orders_order_changelist", **of_today)
    paid = page("admin:orders_order_changelist", sold="1", **of_today)
    return (
        Tile(
            name="Orders of today",
            figure=str(placed),
            note="placed since midnight UTC, whatever became of them",
            url=listed,
            needed=seen,
        ),
        Tile(
            name="Orders of today that are paid",
            figure=str(sum(one.orders for one in sales)),
            note=f"{value}, since midnight UTC",
            url=paid,
            needed=seen,
        ),
        Tile(
            name="Units sold today",
            figure=str(sum(one.units for one in sales)),
            note=f"on average an order is {average}",
            url=paid,
            needed=seen,
        ),
    )


_kept_counts: Remembered[str, ProductCounts] = Remembered(60.0)


def _products() -> tuple[Tile, ...]:
    def count() -> ProductCounts:
        return _kept_counts.get_or_load("products", lambda: catalog.counts(changed_since=utcnow() - WEEK))

    found = unless_away("catalog", [], count)
    seen = ("catalog.change_product",)
    return (
        Tile(
            name="Products on sale",
            figure=NOT_KNOWN if found is None else str(found.on_sale),
            note=f"and {found.off_sale} off sale, a minute ago at most" if found else "",
            url=page("admin:catalog_product_changelist", on_sale="1"),
            needed=seen,
        ),
        Tile(
            name="Products changed this week",
            figure=NOT_KNOWN if found is None else str(found.changed),
            note="in the last seven days, prices too",
            url=page("admin:catalog_product_changelist", changed="week"),
            needed=seen,
        ),
    )


def _made_since(day: datetime) -> dict[str, str]:
    """The filter of a list, as its own links have it."""
    return {"created_at__gte": f"{day:%Y-%m-%d %H:%M:%S+00:00}"}


def _average(sales: Sales) -> Decimal:
    minor = Decimal(money.to_minor(sales.value, sales.currency))
    return money.from_minor(money.half_up(minor / sales.orders), sales.currency)


def _payments(day: datetime) -> Tile:
    found = unless_away("payments", [], lambda: payments.outcomes(since=day))
    ended = found.succeeded + found.failed if found else 0
    figure = NOT_KNOWN if found is None else f"{100 * found.succeeded / ended:.0f} %" if ended else "none yet"
    return Tile(
        name="Payments of today that succeeded",
        figure=figure,
        note=f"{found.succeeded} of {ended}; {found.waiting} without an outcome yet" if found else "",
        url=page("admin:payments_payment_changelist", **_made_since(day)),
        needed=("payments.view_payment",),
    )


def _holds() -> tuple[Tile, ...]:
    found = unless_away("inventory", [], lambda: inventory.holds_alive(seconds=SOON))
    return (
        Tile(
            name="Reservations that wait for their payment",
            figure=NOT_KNOWN if found is None else str(found.alive),
            note="they hold units until then",
            url=page("admin:inventory_reservation_changelist", ends="alive"),
            needed=("inventory.view_reservation",),
        ),
        Tile(
            name="Of these, ending within ten minutes",
            figure=NOT_KNOWN if found is None else str(found.ending),
            note="then their units can be sold again",
            url=page("admin:inventory_reservation_changelist", ends="soon"),
            needed=("inventory.view_reservation",),
        ),
    )


def _low() -> Tile:
    low = unless_away("inventory", [], inventory.low)
    return Tile(
        name="Low stock",
        figure=NOT_KNOWN if low is None else str(low),
        note="stock rows below their reorder point",
        url=page("admin:inventory_stock_changelist", low="1"),
        needed=("inventory.view_stock",),
        urgent=bool(low),
    )


def _to_dispatch() -> Tile:
    waiting = unless_away("shipping", [], shipping.to_dispatch)
    each = ", ".join(f"{warehouse}: {count}" for warehouse, count in (waiting or {}).items())
    return Tile(
        name="To pack and dispatch",
        figure=NOT_KNOWN if waiting is None else str(sum(waiting.values())),
        note=each or "nothing waits",
        url=page("desk-pack"),
        needed=("shipping.view_shipment",),
    )


def _books() -> tuple[Tile, ...]:
    last = checkup.last()
    at = f"at the check-up of {_when(last.at)}" if last else "there is a check-up every five minutes"
    wrong = [item for item in last.items if item["kind"] in AUDITED] if last else []
    return (
        Tile(
            name="Stuck or at odds",
            figure=NOT_KNOWN if last is None else str(len(last.items)),
            note=at,
            url=page("staff-reconcile"),
            needed=LOOKS,
            urgent=bool(last and last.items),
        ),
        Tile(
            name="Audit",
            figure=NOT_KNOWN if last is None else "the books disagree" if wrong else "the books agree",
            note=f"{len(wrong)} findings {at}" if wrong else at,
            url=page("staff-reconcile"),
            needed=LOOKS,
            urgent=bool(wrong),
        ),
    )


def _when(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else ""


# -- lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Lines:
    """``needed``: the permission to see them."""

    charts: tuple[Chart, ...]
    note: str
    needed: str


_kept_lines: Remembered[str, tuple[Lines, ...]] = Remembered(60.0)


def lines(user: User) -> list[Lines]:
    """The last thirty days, as far as the user may see them and their contexts can be asked."""
    found = _kept_lines.get_or_load("lines", _lines)
    return [one for one in found if one.charts and may(user, one.needed)]


def _lines() -> tuple[Lines, ...]:
    since = utcnow().date() - timedelta(days=DAYS - 1)
    return (_sales_lines(since), _stock_lines(since))


def _sales_lines(since: date) -> Lines:
    days = orders.sales_by_day(since=since)
    charts, told = [], []
    for currency in sorted({one.currency for one in days}):
        own = [one for one in days if one.currency == currency]
        by_day = {one.day: one for one in own}
        known = [since + timedelta(days=number) for number in range(DAYS)]
        counts = [(day, Decimal(by_day[day].orders if day in by_day else 0)) for day in known]
        values = [(day, by_day[day].value if day in by_day else Decimal(0)) for day in known]
        charts += [
            _chart(f"Paid orders a day, in {currency}", counts, say=lambda value: f"{value:.0f}"),
            _chart("Revenue a day", values, say=partial(_amount, currency=currency)),
        ]
        value, refunded = sum((one.value for one in own), Decimal(0)), sum((one.refunded for one in own), Decimal(0))
        told.append(
            f"{sum(one.orders for one in own)} orders of {sum(one.units for one in own)} units,"
            f" {_amount(value, currency)}; of these {sum(one.cancelled for one in own)} cancelled since, and"
            f" {_amount(refunded, currency)} refunded"
        )
    note = f"By the day on which orders were placed: {'. '.join(told)}." if told else ""
    return Lines(charts=tuple(filter(None, charts)), note=note, needed="orders.view_order")


def _stock_lines(since: date) -> Lines:
    days = unless_away("inventory", [], lambda: inventory.value_by_day(since=since)) or ()
    charts = [
        _chart(
            "Stock by the catalog's prices",
            [(one.day, one.value) for one in days if one.currency == currency],
            say=partial(_amount, currency=currency),
        )
        for currency in sorted({one.currency for one in days})
    ]
    return Lines(charts=tuple(filter(None, charts)), note="", needed="inventory.view_stock")


def _chart(title: str, values: list[tuple[date, Decimal]], *, say: Callable[[Decimal], str]) -> Chart | None:
    return chart(
        title, [(datetime.combine(day, time.min, UTC), value) for day, value in values], say=say, from_zero=True
    )


def _amount(value: Decimal, currency: str) -> str:
    return f"{money.text(value, currency)} {currency}"
