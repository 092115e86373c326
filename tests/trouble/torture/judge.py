"""The judge stands outside: plain SQL over every database and the provider's own ledger, and no code of the product.

``judge(environment)`` reads the databases that a process with this environment would use, once nothing is under way in
them, and says in words what is lost, double or at odds. An empty list: all is well.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Row = dict[str, Any]

CONTEXTS = ("catalog", "inventory", "customers", "orders", "payments", "shipping", "notifications")
PAID = ("CONFIRMED", "SHIPPED", "DELIVERED", "RETURNED")
LEFT = ("SHIPPED", "DELIVERED", "RETURNED")
UNDONE = ("CANCELLED", "EXPIRED")
ONCE = ("placed", "confirmed", "shipped", "delivered", "cancelled", "expired", "payment_declined")


def connect(environment: Mapping[str, str], context: str) -> Any:
    """A driver's own connection to the context's database; each statement commits by itself."""
    url = environment.get(f"ECI_{context.upper()}_DATABASE_URL", "")
    place = urlsplit(url)
    if place.scheme in ("postgres", "postgresql"):
        import psycopg

        return psycopg.connect(url, autocommit=True)
    if place.scheme == "mysql":
        import MySQLdb

        return MySQLdb.connect(
            host=place.hostname,
            port=place.port,
            user=place.username,
            password=unquote(place.password or ""),
            database=place.path.lstrip("/"),
            charset="utf8mb4",
            autocommit=True,
        )
    return sqlite3.connect(Path(environment["ECI_DATA_DIR"]) / f"{context}.sqlite3", isolation_level=None, timeout=20)


def ledger_of(environment: Mapping[str, str]) -> Path:
    """Where the sandbox provider keeps its ledger."""
    return Path(environment.get("ECI_SANDBOX_LEDGER") or Path(environment["ECI_DATA_DIR"]) / "sandbox_gateway.sqlite3")


def _rows(connection: Any, statement: str) -> list[Row]:
    cursor = connection.cursor()
    cursor.execute(statement)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass(frozen=True, kw_only=True)
class Books:
    """Every row that the judgement needs. ``operations``: what the provider did; what it refused is left out."""

    stock: list[Row]
    movements: list[Row]
    allocations: list[Row]
    orders: list[Row]
    lines: list[Row]
    returns: list[Row]
    timeline: list[Row]
    payments: list[Row]
    refunds: list[Row]
    shipments: list[Row]
    notices: list[Row]
    attempts: list[Row]
    outbox: list[Row]
    inbox: set[tuple[str, str]]
    operations: list[Row]


_ALLOCATIONS = """
SELECT a.quantity, a.state, a.stock_id, s.product_id, s.warehouse_id, r.order_id
FROM inventory_allocation a
JOIN inventory_reservation r ON r.id = a.reservation_id
JOIN inventory_stock s ON s.id = a.stock_id
"""


def read(environment: Mapping[str, str]) -> Books:
    with ExitStack() as stack:
        connections = {context: stack.enter_context(closing(connect(environment, context))) for context in CONTEXTS}

        def table(name: str) -> list[Row]:
            return _rows(connections[name.partition("_")[0]], f"SELECT * FROM {name}")

        return Books(
            stock=table("inventory_stock"),
            movements=table("inventory_movement"),
            allocations=_rows(connections["inventory"], _ALLOCATIONS),
            orders=table("orders_order"),
            lines=table("orders_orderline"),
            returns=table("orders_return"),
            timeline=table("orders_timelineentry"),
            payments=table("payments_payment"),
            refunds=table("payments_refund"),
            shipments=table("shipping_shipment"),
            notices=[row for row in table("notifications_notification") if row["dedupe_key"] is not None],
            attempts=table("notifications_attempt"),
            outbox=[row for context in CONTEXTS for row in table(f"{context}_outboxevent")],
            inbox={(context, _hex(row["event_id"])) for context in CONTEXTS for row in table(f"{context}_inboxevent")},
            operations=_operations(ledger_of(environment)),
        )


def _hex(identity: Any) -> str:
    """A UUID, which each engine gives in a form of its own."""
    return str(identity).replace("-", "").lower()


def _operations(ledger: Path) -> list[Row]:
    if not ledger.exists():
        return []
    with closing(sqlite3.connect(ledger, timeout=20)) as connection:
        return _rows(connection, "SELECT * FROM operations WHERE outcome = 'done'")


def judge(environment: Mapping[str, str]) -> list[str]:
    """What is wrong, in words."""
    return findings(read(environment))


def findings(books: Books) -> list[str]:
    return [
        *_stock(books),
        *_unfinished(books),
        *_money(books),
        *_holds(books),
        *_parcels(books),
        *_notices(books),
        *_repeated(books),
    ]


def _grouped(rows: Iterable[Row], *names: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[names[0]] if len(names) == 1 else tuple(row[name] for name in names)].append(row)
    return groups


def _total(rows: Iterable[Row], name: str) -> int:
    return sum(int(row[name]) for row in rows)


# -- stock ------------------------------------------------------------------------------------------------------------


def _stock(books: Books) -> Iterator[str]:
    ledger = _grouped(books.movements, "product_id", "warehouse_id")
    held, short = (
        _grouped((row for row in books.allocations if row["state"] == state), "stock_id") for state in ("OPEN", "SHORT")
    )
    for row in books.stock:
        place = f"product {row['product_id']} in {row['warehouse_id']}"
        if not 0 <= row["reserved"] <= row["on_hand"]:
            yield f"{place} is oversold: {row['reserved']} reserved of {row['on_hand']} on hand"
        moved = _total(ledger[row["product_id"], row["warehouse_id"]], "delta")
        if moved != row["on_hand"]:
            yield f"{place}: {row['on_hand']} on hand, its movements add up to {moved}"
        lacking = _total(short[row["id"]], "quantity")
        if lacking != row["owed"]:
            yield f"{place}: {row['owed']} owed, its short holds add up to {lacking}"
        claimed = _total(held[row["id"]], "quantity")
        if claimed != row["reserved"]:
            yield f"{place}: {row['reserved']} reserved, its open holds add up to {claimed}"


def _holds(books: Books) -> Iterator[str]:
    orders = {row["order_id"]: row for row in books.orders}
    held = _grouped((row for row in books.allocations if row["order_id"]), "order_id")
    for order_id, allocations in held.items():
        claiming = [row for row in allocations if row["state"] in ("OPEN", "SHORT")]
        if claiming and order_id not in orders:
            yield f"{order_id} holds stock and isn't there"
        elif claiming and orders[order_id]["status"] in (*UNDONE, *LEFT):
            yield f"{order_id} is {orders[order_id]['status']} and still holds stock"
    for order_id, lines in _grouped(books.lines, "order_id").items():
        status = orders[order_id]["status"]
        if status in (*PAID, "AWAITING_PAYMENT"):
            states = ("SHIPPED",) if status in LEFT else ("OPEN", "SHORT", "SHIPPED")
            unpaid = status == "AWAITING_PAYMENT"  # a stock count may have taken its hold away
            counted = [row for row in held[order_id] if unpaid or row["state"] in states]
            wanted, has = _units(lines), _units(counted)
            if wanted != has:
                yield f"{order_id} is {status} with {has} allocated, by product, of {wanted}"


def _units(rows: Iterable[Row]) -> dict[int, int]:
    units: Counter[int] = Counter()
    for row in rows:
        units[row["product_id"]] += row["quantity"]
    return dict(units)


# -- workflows --------------------------------------------------------------------------------------------------------


def _unfinished(books: Books) -> Iterator[str]:
    for row in books.orders:
        awaits_payment = row["status"] == "AWAITING_PAYMENT" and row["step"] == "await_payment"
        awaits_staff = row["status"] == "CONFIRMED" and row["fulfilment"] == "warehouse"
        if not (awaits_payment or awaits_staff or row["status"] in (*LEFT, *UNDONE)):
            yield f"{row['order_id']} is {row['status']}: neither at its end nor waiting for its payment"
        elif row["lease_owner"] or not (awaits_payment or row["next_at"] is None):
            yield f"{row['order_id']} is {row['status']} and its workflow has not ended"
    for row in books.returns:
        if row["done_at"] is None:
            yield f"return {row['id']} of {row['order_id']} is unfinished"
    for kind, rows in (("payment", books.payments), ("refund", books.refunds)):
        for row in rows:
            if row["status"] == "PENDING":
                yield f"{kind} {row['id']} is PENDING"
    for row in books.outbox:
        event = f"{row['name']} of {row['aggregate_id']}"
        if row["delivered_at"] is None:
            yield f"{event} has not been delivered to {row['consumer']}"
        elif (row["consumer"], _hex(row["event_id"])) not in books.inbox:
            yield f"{event} counts as delivered, and {row['consumer']} has no record of it"


# -- money ------------------------------------------------------------------------------------------------------------


def _money(books: Books) -> Iterator[str]:
    operations = _grouped(books.operations, "reference")
    payments = {row["reference"]: row for row in books.payments if row["reference"]}
    captured = {reference: _done(rows, "capture", "charge") for reference, rows in operations.items()}
    refunded = {reference: _done(rows, "refund") for reference, rows in operations.items()}
    for reference, done in operations.items():
        if reference not in payments:
            yield f"the provider has {_words(done)} under {reference}, of which payments knows nothing"
        elif not {row["kind"] for row in done} & {"capture", "charge", "void"}:
            yield f"the authorisation of {payments[reference]['order_id']} was neither captured nor voided"
    for row in books.payments:
        ours = row["captured_minor"], row["refunded_minor"]
        theirs = captured.get(row["reference"], 0), refunded.get(row["reference"], 0)
        if ours != theirs:
            yield f"payment {row['id']}: {ours} captured and refunded, by the provider's ledger {theirs}"
    by_order = _grouped(books.payments, "order_id")
    for order in books.orders:
        live = [
            captured.get(row["reference"], 0) - refunded.get(row["reference"], 0)
            for row in by_order[order["order_id"]]
            if captured.get(row["reference"], 0) > refunded.get(row["reference"], 0)
        ]
        due = order["total_minor"] - order["refunded_minor"] if order["status"] in PAID else 0
        if len(live) > 1:
            yield f"{order['order_id']} was charged {len(live)} times"
        if sum(live) != due:
            yield f"{order['order_id']} is {order['status']}: the provider holds {sum(live)} of it, it should be {due}"


def _done(operations: Iterable[Row], *kinds: str) -> int:
    return _total((row for row in operations if row["kind"] in kinds), "amount_minor")


def _words(operations: Iterable[Row]) -> str:
    return ", ".join(f"{row['kind']} {row['amount_minor']}" for row in operations)


# -- parcels and notices ----------------------------------------------------------------------------------------------


def _parcels(books: Books) -> Iterator[str]:
    parcels = _grouped(books.shipments, "order_id")
    places = _grouped((row for row in books.allocations if row["state"] != "RELEASED"), "order_id")
    for order in books.orders:
        order_id, status = order["order_id"], order["status"]
        counted = [row for row in parcels[order_id] if row["status"] != "CANCELLED"]
        if status in UNDONE and counted:
            yield f"{order_id} is {status} and has a parcel that isn't cancelled"
        elif status in LEFT and not all(row["dispatched_at"] for row in counted):
            yield f"{order_id} is {status} and has a parcel that hasn't left"
        if status in PAID:
            expected = sorted({row["warehouse_id"] for row in places[order_id]})
            if sorted(row["warehouse"] for row in counted) != expected:
                yield f"{order_id} has parcels in {[row['warehouse'] for row in counted]}, stock from {expected}"


def _notices(books: Books) -> Iterator[str]:
    sent = _grouped(books.notices, "order_id")
    parcels = _grouped(books.shipments, "order_id")
    payments = {row["id"]: row["order_id"] for row in books.payments}
    refunds = Counter(payments[row["payment_id"]] for row in books.refunds if row["status"] == "COMPLETED")
    for order in books.orders:
        order_id = order["order_id"]
        expected = Counter(
            {
                "order_confirmation": int(order["confirmed_at"] is not None),
                "shipping_confirmation": sum(row["dispatched_at"] is not None for row in parcels[order_id]),
                "refund": refunds[order_id],
                "order_expired": int(order["status"] == "EXPIRED"),
                "payment_failure": int(order["status"] == "CANCELLED" and order["undo"] == "declined"),
                "order_cancellation": int(order["status"] == "CANCELLED" and order["undo"] != "declined"),
            }
        )
        yield from _differences(order_id, expected, Counter(row["kind"] for row in sent.pop(order_id, [])))
    for order_id in sent:
        if order_id.startswith("ORD-"):
            yield f"there are notices about {order_id}, which isn't there"
    for row in books.notices:
        if row["status"] != "SENT":
            yield f"the {row['kind']} of {row['order_id']} is {row['status']}"
    for notice, attempts in _grouped(books.attempts, "notification_id").items():
        if sum(bool(row["ok"]) for row in attempts) > 1:
            yield f"notice {notice} was sent more than once"


def _differences(order_id: str, expected: Counter[str], found: Counter[str]) -> Iterator[str]:
    for kind in sorted(expected | found):
        if found[kind] < expected[kind]:
            yield f"{order_id}: {found[kind]} {kind}, {expected[kind]} expected: a notice is lost"
        elif found[kind] > expected[kind]:
            yield f"{order_id}: {found[kind]} {kind}, {expected[kind]} expected: a notice is double"


def _repeated(books: Books) -> Iterator[str]:
    """What may happen to an order once, and is said to have happened twice."""
    noted = Counter((row["order_id"], row["event"]) for row in books.timeline if row["event"] in ONCE)
    for (order_id, event), times in noted.items():
        if times > 1:
            yield f"{order_id} was {event} {times} times, by its timeline"
    announced = Counter(
        (row["name"], row["consumer"], row["aggregate_id"]) for row in books.outbox if row["name"].startswith("orders.")
    )
    for (name, consumer, order_id), times in announced.items():
        if times > 1:
            yield f"{name} of {order_id} was announced to {consumer} {times} times"


# -- how things ended -------------------------------------------------------------------------------------------------


def ends(books: Books, *, noted: Collection[str] = ONCE) -> dict[int, dict[str, Any]]:
    """How everything ended that concerns each product, without ids and times, so that two runs can be compared.

    ``noted``: what of an order's timeline belongs to it.
    """
    lines = _grouped(books.lines, "product_id")
    orders = {row["order_id"]: row for row in books.orders}
    payments = _grouped(books.payments, "order_id")
    refunds = _grouped(books.refunds, "payment_id")
    operations = _grouped(books.operations, "reference")
    by_order = {
        name: _grouped(rows, "order_id")
        for name, rows in (
            ("returns", books.returns),
            ("parcels", books.shipments),
            ("notices", books.notices),
            ("timeline", books.timeline),
            ("holds", books.allocations),
        )
    }
    stock = _grouped(books.stock, "product_id")
    movements = _grouped(books.movements, "product_id")

    def end_of(order_id: str) -> dict[str, Any]:
        paid = payments[order_id]
        return {
            "order": _only(orders[order_id], "status", "payment_status", "undo", "total_minor", "refunded_minor"),
            "payments": _sorted(paid, "mode", "status", "captured_minor", "refunded_minor"),
            "refunds": _sorted((row for one in paid for row in refunds[one["id"]]), "status", "amount_minor"),
            "provider": _sorted((row for one in paid for row in operations[one["reference"]]), "kind", "amount_minor"),
            "holds": _sorted(by_order["holds"][order_id], "warehouse_id", "state", "quantity"),
            "parcels": _sorted(by_order["parcels"][order_id], "warehouse", "status"),
            "returns": _sorted(by_order["returns"][order_id], "refund_minor", "disposition"),
            "notices": _sorted(by_order["notices"][order_id], "kind", "status"),
            "timeline": _sorted((row for row in by_order["timeline"][order_id] if row["event"] in noted), "event"),
        }

    return {
        product: {
            "stock": _sorted(rows, "warehouse_id", "on_hand", "reserved"),
            "movements": _sorted(movements[product], "warehouse_id", "delta", "reason"),
            "orders": [end_of(order_id) for order_id in sorted({row["order_id"] for row in lines[product]})],
        }
        for product, rows in stock.items()
    }


def _only(row: Row, *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _sorted(rows: Iterable[Row], *names: str) -> list[tuple[Any, ...]]:
    return sorted(_only(row, *names) for row in rows)
