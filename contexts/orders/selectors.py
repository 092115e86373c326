"""Reads of this context's own rows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from django.db.models import Count, PositiveSmallIntegerField, Q, QuerySet, Sum, Value
from django.db.models.functions import Lower, Now
from django.db.models.lookups import Exact

from contexts.orders.domain import RETURN_REQUESTED
from contexts.orders.models import Idempotency, Note, Order, OrderLine, Return, SalesDay, Switch, TimelineEntry
from contexts.orders.public import contracts
from contexts.orders.public.contracts import OrderNotFound, OrderPaymentStatus, OrderStatus, ReturnStatus
from eci import money, totals
from eci.idempotency import Key, require_same_request
from eci.paging import Paging
from eci.statements import at_once, reads
from eci.text import email_sought

_NO_STATUS = Value(None, output_field=PositiveSmallIntegerField())


@reads
def _order(*, order_id: str) -> QuerySet[Order]:
    return Order.objects.filter(pk=order_id)


def order(*, order_id: str, owner: int | None = None) -> Order:
    """OrderNotFound, also when ``owner`` is given and it is another customer's."""
    return _required(_order(order_id=order_id), order_id, owner)


def _required(found: Sequence[Order], order_id: str, owner: int | None) -> Order:
    if not found or (owner is not None and found[0].customer_id != owner):
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    return found[0]


@reads
def buyers_of(*, order_ids: Collection[str]) -> QuerySet[Order]:
    """These orders, in no order, with what tells who buys."""
    return Order.objects.filter(pk__in=order_ids).only("customer_id", "email", "buyer_erased")


def numbers_of(*, order_ids: Collection[str]) -> dict[str, int]:
    found = Order.objects.filter(pk__in=order_ids).values_list("pk", "number")
    return {order_id: number for order_id, number in found if number is not None}


def require_order(*, order_id: str, owner: int | None) -> None:
    """As ``order``, where an owner is given; otherwise nothing is read."""
    if owner is not None:
        order(order_id=order_id, owner=owner)


class Unpaid(NamedTuple):
    """``minor``: the value of those in the same currency, in minor units."""

    orders: int
    minor: int


def unpaid_beside(*, order: Order) -> Unpaid:
    """Other unpaid orders of its customer that hold stock."""
    others = Order.objects.filter(customer_id=order.customer_id, by_customer=True).exclude(pk=order.pk)
    resting = Q(status__in=(OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PENDING))
    unpaid = others.filter(resting | Q(status=OrderStatus.PENDING, pay_later=True))
    return Unpaid(
        **unpaid.aggregate(orders=Count("pk"), minor=Sum("total_minor", filter=Q(currency=order.currency), default=0))
    )


@reads
def _known_of_key(*, scope: str, key: str) -> QuerySet[Any, Any]:
    """What the key's record says, and the order that the key has placed, which outlives the record."""
    records = Idempotency.objects.filter(scope=scope, key=key).annotate(is_record=Value(1))
    placed = Order.objects.filter(idempotency_scope=scope, idempotency_key=key)
    orders = placed.annotate(status_=_NO_STATUS, answer=Value(""), is_record=Value(0))
    return records.values_list("fingerprint", "resource", "status", "answer", "is_record").union(
        orders.values_list("idempotency_fingerprint", "order_id", "status_", "answer", "is_record"), all=True
    )


def record_of_key(*, key: Key) -> Idempotency | None:
    """The key's record, as if it were there for as long as the order that the key has placed. IdempotencyKeyReused."""
    known = _known_of_key(scope=key.scope, key=key.key)
    if not known:
        return None
    fingerprint, resource, status, answer, _ = max(known, key=itemgetter(-1))
    require_same_request(key, fingerprint)
    return Idempotency(**vars(key), resource=resource, status=status, answer=answer)


def order_with_reference(*, reference: str) -> Order | None:
    return Order.objects.filter(reference=reference).first() if reference else None


# What is shown of an order, and ``undo``, which tells whether it is being cancelled.
_SHOWN = (
    *("number", "reference", "metadata", "customer_id", "email", "status", "payment_status", "currency", "undo"),
    *("subtotal_minor", "tax_minor", "shipping_minor", "total_minor", "refunded_minor"),
    *("shipping_address", "fulfilment", "needs_attention", "expires_at", "created_at", "updated_at"),
)


@reads
def _shown(*, order_id: str) -> QuerySet[Order]:
    return Order.objects.filter(pk=order_id).only(*_SHOWN)


@reads
def orders(
    *,
    paging: Paging,
    customer_id: int | None = None,
    number: int | None = None,
    reference: str = "",
    status: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> QuerySet[Order]:
    """``created_after`` is included, ``created_before`` is not."""
    rows = Order.objects.only(*_SHOWN)
    if customer_id is not None:
        rows = rows.filter(customer_id=customer_id)
    if number is not None:
        rows = rows.filter(number=number)
    if reference:
        rows = rows.filter(reference=reference)
    # an order being placed may yet be refused and never have been: it is listed only when asked for
    rows = rows.exclude(status=OrderStatus.PENDING) if status is None else rows.filter(status=status)
    if created_after is not None:
        rows = rows.filter(created_at__gte=created_after)
    if created_before is not None:
        rows = rows.filter(created_at__lt=created_before)
    return paging.of(rows)


_MAX_NUMBER = 2**63 - 1  # that the column can hold
# Of an id (eci.ids): so many letters are no other's. Digits alone are a number or a barcode.
_ENDING = re.compile(r"(?![0-9]+\Z)[0-9A-HJKMNP-TV-Z]{6,20}", re.IGNORECASE | re.ASCII)
_ALIKE = 20
_MOST_OF_GUEST = 1_000


def orders_named(*, name: str) -> tuple[str, ...]:
    """The ids of the orders that have this id, in any case, number (``#10023`` or ``10023``) or reference, as it is or
    in capitals; without such an order those whose id ends so, from six letters on."""
    if not name:
        return ()
    digits = name.removeprefix("#")
    ways: list[Q] = [Q(pk__in={name, name.upper()}), Q(reference__in={name, name.upper()})]
    if digits.isascii() and digits.isdecimal() and int(digits) <= _MAX_NUMBER:
        ways.append(Q(number=int(digits)))
    # one statement for each: an OR over three indexes reads the whole table on some engines
    found = [pk for way in ways for pk in Order.objects.filter(way).values_list("pk", flat=True)]
    if not found and _ENDING.fullmatch(name):  # ids alone are read, which an index has
        found = list(Order.objects.filter(pk__endswith=name.upper()).values_list("pk", flat=True)[:_ALIKE])
    return tuple(dict.fromkeys(found))


def orders_of_guest(*, email: str) -> list[str]:
    """The ids of the orders that have this address, in whatever case or spelling of its domain it was given. Indexes
    alone are read."""
    email = email_sought(email)
    for way in (Q(email__in={email, email.lower()}), Exact(Lower("email"), email.lower())):
        if found := list(Order.objects.filter(way).values_list("pk", flat=True)[:_MOST_OF_GUEST]):
            return found
    return []


def of_products(*, product_ids: Collection[int]) -> QuerySet[OrderLine]:
    """The lines of these products."""
    return OrderLine.objects.filter(product_id__in=product_ids)


def orders_after(*, after: str, limit: int, customer_id: int | None = None) -> list[Order]:
    """Orders in the order of their ids, from the one that follows ``after``."""
    rows = Order.objects.filter(order_id__gt=after)
    if customer_id is not None:
        rows = rows.filter(customer_id=customer_id)
    return list(rows.order_by("order_id")[:limit])


class Line(NamedTuple):
    """What is read of a line. A page of orders has hundreds: a model for each would cost more than the rest."""

    order_id: str
    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price_minor: int
    returned_quantity: int


class Entry(NamedTuple):
    """What is read of a timeline's entry."""

    order_id: str
    at: datetime
    event: str
    detail: str
    actor: str


@reads
def _lines(*, order_ids: Collection[str]) -> QuerySet[OrderLine, Any]:
    return OrderLine.objects.filter(order__in=order_ids).order_by("pk").values_list(*Line._fields)


@reads
def _timeline(*, order_ids: Collection[str]) -> QuerySet[TimelineEntry, Any]:
    return TimelineEntry.objects.filter(order__in=order_ids).order_by("pk").values_list(*Entry._fields)


@reads
def _returns(*, order_ids: Collection[str]) -> QuerySet[Return]:
    return Return.objects.filter(order__in=order_ids).order_by("pk")


def lines_of(*, order_ids: Collection[str]) -> dict[str, list[Line]]:
    """The lines of each order, by its id."""
    return _by_order(map(_line, _lines(order_ids=order_ids)))


def timeline_of(*, order_ids: Collection[str]) -> dict[str, list[Entry]]:
    return _by_order(map(_entry, _timeline(order_ids=order_ids)))


def returns_of(*, order_ids: Collection[str]) -> dict[str, list[Return]]:
    return _by_order(_returns(order_ids=order_ids))


# tuple.__new__ is Line._make without a call of Python for each
_line, _entry = partial(tuple.__new__, Line), partial(tuple.__new__, Entry)


class Parts(NamedTuple):
    """What belongs to orders, each by the order's id."""

    lines: dict[str, list[Line]]
    timelines: dict[str, list[Entry]]
    returns: dict[str, list[Return]]


def parts_of(*, order_ids: Collection[str]) -> Parts:
    """As ``lines_of``, ``timeline_of`` and ``returns_of``."""
    lines, entries = at_once(partial(_lines, order_ids=order_ids), partial(_timeline, order_ids=order_ids))
    return _parts(lines, entries)


def order_with_parts(*, order_id: str, owner: int | None = None) -> tuple[Order, Parts]:
    """As ``order`` and ``parts_of``."""
    order_ids = [order_id]
    found, lines, entries = at_once(
        partial(_shown, order_id=order_id),
        partial(_lines, order_ids=order_ids),
        partial(_timeline, order_ids=order_ids),
    )
    return _required(found, order_id, owner), _parts(lines, entries)


def _parts(lines: Iterable[Any], entries: Iterable[Any]) -> Parts:
    lines, entries = list(map(_line, lines)), list(map(_entry, entries))
    # Units that are back are counted in their lines. Whoever asks first for a return leaves an entry.
    returned = {line.order_id for line in lines if line.returned_quantity}
    returned.update([one.order_id for one in entries if one.event == RETURN_REQUESTED])
    return Parts(_by_order(lines), _by_order(entries), returns_of(order_ids=list(returned)))


def whole_lines_of(*, order_id: str) -> list[OrderLine]:
    """The order's lines, in its order, as rows that may be changed."""
    return list(OrderLine.objects.filter(order=order_id).order_by("line_no"))


def notes_of(*, order_id: str) -> list[Note]:
    return list(Note.objects.filter(order=order_id).order_by("pk"))


def placed_by(*, customer_id: int, limit: int) -> list[Order]:
    """A customer's orders, newest first."""
    return list(Order.objects.filter(customer_id=customer_id).order_by("-created_at", "-pk")[:limit])


def who_ordered(*, customer_ids: Iterable[int]) -> list[int]:
    """Those of these customers who have an order."""
    orders = Order.objects.filter(customer_id__in=list(customer_ids)).order_by()
    return [customer_id for customer_id in orders.values_list("customer_id", flat=True).distinct() if customer_id]


def newest_of_product(*, product_id: int, limit: int) -> dict[str, int]:
    """Of the newest orders that have the product, its units by order, the newest first: ids sort by time."""
    lines: QuerySet[OrderLine, Any] = OrderLine.objects.filter(product_id=product_id).order_by("-order_id")
    counted = lines.values("order_id").annotate(units=Sum("quantity"))
    return {row["order_id"]: row["units"] for row in counted[:limit]}


def orders_by_id(*, order_ids: Collection[str]) -> dict[str, Order]:
    return Order.objects.in_bulk(list(order_ids))


def _by_order(rows: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.order_id].append(row)
    return groups


def units_of(*, order_ids: Collection[str]) -> dict[str, dict[int, int]]:
    """The units ordered of each product, by order."""
    sums = (
        OrderLine.objects.filter(order__in=order_ids)
        .order_by()
        .values("order_id", "product_id")
        .annotate(ordered=Sum("quantity"))
    )
    units: dict[str, dict[int, int]] = defaultdict(dict)
    for row in sums:
        units[row["order_id"]][row["product_id"]] = row["ordered"]
    return units


def return_of(*, return_id: int) -> Return:
    """Its order is at hand too."""
    return Return.objects.select_related("order").get(pk=return_id)


def _due_orders() -> QuerySet[Order, str]:
    due = Order.objects.filter(Q(lease_until=None) | Q(lease_until__lte=Now()), next_at__lte=Now())
    return due.order_by("next_at").values_list("pk", flat=True)


def _due_returns() -> QuerySet[Return, int]:
    return Return.objects.filter(next_at__lte=Now()).order_by("next_at").values_list("pk", flat=True)


@reads
def _first_due_order() -> QuerySet[Order, str]:
    return _due_orders()[:1]


@reads
def _first_due_return() -> QuerySet[Return, int]:
    return _due_returns()[:1]


def any_due() -> bool:
    """Whether recovery has an order or a return to carry on."""
    return bool(_first_due_order() or _first_due_return())


def due_orders(*, limit: int) -> list[str]:
    """Ids of orders that are due and that no runner has."""
    return list(_due_orders()[:limit])


def due_returns(*, limit: int) -> list[int]:
    return list(_due_returns()[:limit])


def is_due(*, order_id: str) -> bool:
    return Order.objects.filter(pk=order_id, next_at__lte=Now()).exists()


def due_returns_of(*, order_id: str) -> list[int]:
    return list(Return.objects.filter(order=order_id, next_at__lte=Now()).values_list("pk", flat=True))


@reads
def _longest_due() -> QuerySet[Any]:
    unleased = Q(lease_until=None) | Q(lease_until__lte=Now())
    due = Order.objects.filter(unleased, next_at__lte=Now()).order_by("next_at")
    return due.only("next_at").annotate(now=Now())[:1]


def lag() -> float:
    row = _longest_due.first()
    return 0.0 if row is None else max(0.0, (row.now - row.next_at).total_seconds())


def _overdue(*, seconds: int) -> Q:
    late = Now() - timedelta(seconds=seconds)
    return Q(next_at__lte=late) & (Q(lease_until=None) | Q(lease_until__lte=late))


def stuck_orders(*, seconds: int) -> list[Order]:
    """Orders that need attention, wait though they were refunded in full, or have been overdue for ``seconds``."""
    refunded = Q(
        status=OrderStatus.CONFIRMED,
        payment_status=OrderPaymentStatus.REFUNDED,
        next_at=None,
        lease_owner="",
    )
    found = Order.objects.filter(Q(needs_attention=True) | refunded | _overdue(seconds=seconds))
    return list(found.order_by("order_id"))


def attention_reasons(*, orders: Collection[Order]) -> dict[str, str]:
    """Why each order was last given up to a person, by its id."""
    given_up = TimelineEntry.objects.filter(order__in=orders, event="needs_attention").order_by("pk")
    return dict(given_up.values_list("order_id", "detail"))


def stuck_returns(*, seconds: int) -> list[Return]:
    """Received returns that have been unfinished for more than ``seconds``, each with its order."""
    late = Now() - timedelta(seconds=seconds)
    unfinished = Return.objects.filter(done_at=None, status=ReturnStatus.RECEIVED, created_at__lte=late)
    return list(unfinished.select_related("order").order_by("pk"))


@reads
def _last_switch() -> QuerySet[Switch]:
    return Switch.objects.order_by("-pk")[:1]


def switch() -> Switch | None:
    """What was last said about taking orders; None when nothing ever was."""
    return _last_switch.first()


def sales(*, since: datetime) -> tuple[contracts.Sales, ...]:
    """Of the orders placed since then, those that passed the pivot, by currency."""
    paid = Order.objects.filter(created_at__gte=since, confirmed_at__isnull=False)
    rows = paid.values("currency").annotate(placed=Count("pk"), value=Sum("total_minor")).order_by("currency")
    units = _units_sold(created_at__gte=since)
    return tuple(_sales(row, units[row["currency"]]) for row in rows)


def _sales(row: Any, units: int = 0) -> contracts.Sales:
    value = money.from_minor(int(row["value"]), row["currency"])
    return contracts.Sales(currency=row["currency"], orders=row["placed"], value=value, units=units)


def _units_sold(**placed: datetime) -> Counter[str]:
    """The units of orders that passed the pivot, by currency."""
    of = {f"order__{name}": value for name, value in placed.items()}
    lines: QuerySet[OrderLine, Any] = OrderLine.objects.filter(order__confirmed_at__isnull=False, **of).order_by()
    sums = lines.values("order__currency").annotate(units=Sum("quantity"))
    return Counter({row["order__currency"]: int(row["units"]) for row in sums})


def placed(*, since: datetime) -> int:
    return Order.objects.filter(created_at__gte=since).count()


def sales_of(*, day: date) -> list[SalesDay]:
    """The day's sales by currency, read from its orders. Their rows are not saved."""
    begins = datetime.combine(day, time.min, UTC)
    of = {"created_at__gte": begins, "created_at__lt": begins + timedelta(days=1)}
    rows = Order.objects.filter(confirmed_at__isnull=False, **of).values("currency")
    units = _units_sold(**of)
    counted = rows.annotate(
        placed=Count("pk"),
        value=Sum("total_minor"),
        gone=Count("pk", filter=Q(status=OrderStatus.CANCELLED)),
        refunded=Sum("refunded_minor"),
    )
    return [
        SalesDay(
            day=day,
            currency=row["currency"],
            orders=row["placed"],
            units=units[row["currency"]],
            value_minor=int(row["value"]),
            cancelled=row["gone"],
            refunded_minor=int(row["refunded"]),
        )
        for row in counted.order_by("currency")
    ]


def sales_days(*, since: date) -> list[SalesDay]:
    return list(SalesDay.objects.filter(day__gte=since).order_by("day", "currency"))


def day_of(*, order_id: str) -> date | None:
    """The day of UTC on which the order was placed."""
    placed_at = Order.objects.filter(pk=order_id).values_list("created_at", flat=True).first()
    return placed_at.astimezone(UTC).date() if placed_at else None


def first_day() -> date | None:
    """The day of UTC of the oldest order."""
    oldest = Order.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return oldest.astimezone(UTC).date() if oldest else None


def count() -> tuple[int, dict[str, Any]]:
    """Of all orders: what was sold, in minor units of each currency, and how many have which status."""
    rows = Order.objects.values("currency", "status").annotate(
        number=Count("pk"),
        placed=Count("confirmed_at"),
        value=Sum("total_minor", filter=Q(confirmed_at__isnull=False), default=0),
    )
    by_status: Counter[str] = Counter()
    sales: dict[str, dict[str, Any]] = {}
    for row in rows.order_by("currency"):
        by_status[row["status"]] += row["number"]
        sold = sales.setdefault(row["currency"], {"currency": row["currency"], "placed": 0, "value": 0})
        sold["placed"] += row["placed"]
        sold["value"] += int(row["value"])
    figures = {"sales": list(sales.values()), "by_status": dict(by_status), "attention": _attention()}
    return by_status.total(), figures  # with attention for a process of an earlier version, while it is replaced


def _attention() -> int:
    return Order.objects.filter(needs_attention=True).count()


def statistics() -> contracts.Statistics:
    counted = totals.of("orders", count)
    return contracts.Statistics(
        counted_at=counted.at,
        sales=tuple(map(_sales, counted.figures["sales"])),
        by_status=counted.figures["by_status"],
        attention=_attention(),
        overdue=Order.objects.filter(_overdue(seconds=60)).count(),
    )
