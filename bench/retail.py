"""Read the shop's file, decide what becomes of each line, and make a plan. No HTTP, no clock, no randomness.

Every line of the file gets exactly one fate; ``bench/data/README.md`` explains the fates.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from statistics import median

CENT = Decimal("0.01")
MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
_GOODS = re.compile(r"[0-9]{5}|DCGS|gift_", re.IGNORECASE)


class Fate(StrEnum):
    """What becomes of a line, unless the server refuses something that the plan expects it to accept."""

    SOLD = "sold"
    GIVEN = "given free with an order"
    UNHOLDABLE = "refused: validation_error (a price with a fraction of a cent)"
    TOO_MANY_LINES = "refused: validation_error (an invoice of over 1,000 lines)"
    TOO_MANY_UNITS = "refused: validation_error (a quantity of over 1,000,000)"
    WRITTEN_OFF = "stock written off (negative quantity, no C)"
    FOUND = "stock found (no price, no customer)"
    MONEY = "money correction, no goods (A invoice or negative price)"
    NO_QUANTITY = "no quantity"
    UNREADABLE = "unreadable"
    RETURNED = "returned"
    RETURNED_IN_PART = "returned in part: exceeds what was bought"
    EXCEEDS = "not returned: exceeds what was bought"
    NO_EARLIER_ORDER = "not returned: no earlier order"
    NO_CUSTOMER = "not returned: no customer named"
    NOT_GOODS = "not returned: not a product (discount, fee, postage, manual)"


PLACED = frozenset({Fate.SOLD, Fate.GIVEN})
BACK = frozenset({Fate.RETURNED, Fate.RETURNED_IN_PART})


class BadFile(Exception):
    """This is no invoice file of the shop. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the file; ``number`` counts from 1. ``readable``: its quantity and price are numbers."""

    number: int
    invoice: str
    sku: str
    description: str
    quantity: int
    price: Decimal
    customer: str
    readable: bool = True

    @property
    def is_goods(self) -> bool:
        """Whether it can be returned: not postage, carriage, a discount, a fee or a manual entry."""
        return bool(_GOODS.match(self.sku))


@dataclass(frozen=True)
class Invoice:
    number: str
    lines: tuple[Line, ...]

    @property
    def customer(self) -> str:
        return self.lines[0].customer

    @property
    def is_cancellation(self) -> bool:
        return self.number.upper().startswith("C")

    @property
    def email(self) -> str:
        return f"customer-{self.customer}@example.com" if self.customer else f"guest-{self.number}@example.com"


@dataclass(frozen=True, kw_only=True)
class Order:
    """Sell ``lines``. ``unholdable`` are the invoice's other lines, at prices that no order can have."""

    invoice: Invoice
    lines: tuple[Line, ...]
    unholdable: tuple[Line, ...] = ()
    refusal: Fate | None = None


@dataclass(frozen=True)
class Adjustment:
    """Stock found (positive quantity) or written off (negative)."""

    line: Line

    @property
    def lines(self) -> tuple[Line, ...]:
        return (self.line,)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Units of a returned line that belong to one order. ``order`` is the index of that order's step."""

    order: int
    line: Line
    quantity: int
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class Return:
    invoice: Invoice
    pieces: tuple[Piece, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(piece.line for piece in self.pieces)


@dataclass(frozen=True)
class Step:
    """One thing to play, once the steps in ``after`` (indexes) are done."""

    action: Order | Adjustment | Return
    after: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Product:
    """``needed``: the units that opening stock must cover for all orders and write-offs to succeed."""

    sku: str
    name: str
    price: Decimal
    needed: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    invoices: tuple[Invoice, ...]
    steps: tuple[Step, ...]
    fates: dict[int, Fate]
    products: tuple[Product, ...]
    other_price: int  # returned lines credited at another price than the order's


# -- reading ----------------------------------------------------------------------------------------------------------
def read(path: Path) -> tuple[Invoice, ...]:
    """The invoices in the file's order, which is chronological. BadFile, OSError."""
    raw = path.read_bytes()
    try:
        return parse(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise BadFile(f"{path} cannot be read: {error}.") from None


def parse(raw: bytes) -> tuple[Invoice, ...]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise BadFile(f"This is no invoice file of the shop: columns missing: {', '.join(missing)}.")
    by_number: dict[str, list[Line]] = {}
    for number, row in enumerate(rows, start=1):
        line = _line(number, row)
        by_number.setdefault(line.invoice, []).append(line)
    return tuple(Invoice(number, tuple(lines)) for number, lines in by_number.items())


def _line(number: int, row: dict[str, str | None]) -> Line:
    def cell(name: str) -> str:
        return " ".join((row[name] or "").split())

    quantity, price = _number(cell("Quantity")), _number(cell("UnitPrice"))
    readable = quantity is not None and quantity == quantity.to_integral_value() and price is not None
    return Line(
        number=number,
        invoice=cell("InvoiceNo"),
        sku=cell("StockCode"),
        description=cell("Description"),
        quantity=int(quantity) if readable and quantity is not None else 0,
        price=price if readable and price is not None else Decimal(0),
        customer=cell("CustomerID").removesuffix(".0"),
        readable=readable and bool(cell("InvoiceNo")) and bool(cell("StockCode")),
    )


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value.adjusted()) < 20 else None


# -- planning ---------------------------------------------------------------------------------------------------------
def plan(invoices: Iterable[Invoice]) -> Plan:
    """What to do about each invoice, in order, and the fate of each line."""
    planner = _Planner()
    chosen = tuple(invoices)
    for invoice in chosen:
        planner.add(invoice)
    return Plan(
        invoices=chosen,
        steps=tuple(planner.steps),
        fates=planner.fates,
        products=_products(chosen, planner.steps, planner.fates),
        other_price=planner.other_price,
    )


def fate_of_sale(line: Line, *, invoice_sells: bool) -> Fate:
    """The fate of a line outside cancellations. ``invoice_sells``: the invoice has a priced line or a customer."""
    if not line.readable:
        return Fate.UNREADABLE
    if line.invoice.upper().startswith("A") or line.price < 0:
        return Fate.MONEY
    if line.quantity == 0:
        return Fate.NO_QUANTITY
    if line.quantity < 0:
        return Fate.WRITTEN_OFF
    if line.price == 0:
        return Fate.GIVEN if invoice_sells else Fate.FOUND
    return Fate.SOLD if line.price == line.price.quantize(CENT) else Fate.UNHOLDABLE


def outcome(invoice: Invoice, fates: dict[int, str]) -> str:
    """The outcome of a whole invoice, from its lines' fates."""
    found = [fates[line.number] for line in invoice.lines]
    if invoice.is_cancellation:
        if all(fate == Fate.RETURNED for fate in found):
            return "returned"
        return "returned in part" if any(fate in BACK for fate in found) else found[0]
    if any(fate in PLACED for fate in found):
        return "placed"
    refused = [fate for fate in found if fate.startswith("refused")]
    return refused[0] if refused else f"no order: {found[0]}"


@dataclass
class _Purchase:
    order: int
    price: Decimal
    left: int


@dataclass
class _Planner:
    steps: list[Step] = field(default_factory=list)
    fates: dict[int, Fate] = field(default_factory=dict)
    other_price: int = 0
    _bought: defaultdict[tuple[str, str], list[_Purchase]] = field(default_factory=lambda: defaultdict(list))
    _touched: dict[int, int] = field(default_factory=dict)  # order step -> the last step that changed that order

    def add(self, invoice: Invoice) -> None:
        if invoice.is_cancellation:
            self._cancellation(invoice)
        else:
            self._sale(invoice)

    def _sale(self, invoice: Invoice) -> None:
        sells = bool(invoice.customer) or any(line.quantity > 0 and line.price > 0 for line in invoice.lines)
        fates = {line.number: fate_of_sale(line, invoice_sells=sells) for line in invoice.lines}
        ordered = tuple(line for line in invoice.lines if fates[line.number] in PLACED)
        unholdable = tuple(line for line in invoice.lines if fates[line.number] is Fate.UNHOLDABLE)
        refusal = _refusal(ordered)
        if refusal:
            fates |= {line.number: refusal for line in ordered}
        if ordered or unholdable:
            self._order(Order(invoice=invoice, lines=ordered, unholdable=unholdable, refusal=refusal))
        for line in invoice.lines:
            if fates[line.number] in (Fate.FOUND, Fate.WRITTEN_OFF):
                self.steps.append(Step(Adjustment(line)))
        self.fates |= fates

    def _order(self, order: Order) -> None:
        index = len(self.steps)
        self.steps.append(Step(order))
        self._touched[index] = index
        if order.invoice.customer and not order.refusal:
            for line in order.lines:
                bought = _Purchase(order=index, price=line.price, left=line.quantity)
                self._bought[order.invoice.customer, line.sku].append(bought)

    def _cancellation(self, invoice: Invoice) -> None:
        pieces: list[Piece] = []
        for line in invoice.lines:
            taken = self._take(line)
            pieces += taken
            self.fates[line.number] = self._fate_of_return(line, sum(piece.quantity for piece in taken))
            self.other_price += any(piece.price != line.price for piece in taken)
        if pieces:
            orders = {piece.order for piece in pieces}
            after = frozenset(self._touched[order] for order in orders)
            self._touched |= dict.fromkeys(orders, len(self.steps))
            self.steps.append(Step(Return(invoice=invoice, pieces=tuple(pieces)), after))

    def _take(self, line: Line) -> list[Piece]:
        """Units of the customer's earlier orders to return: orders at the credited price first, then one order with
        enough units, then the latest. A line that is not goods must have been charged at exactly that price."""
        wanted = -line.quantity
        if not line.customer or not line.readable or wanted <= 0:
            return []
        candidates = [
            bought
            for bought in self._bought[line.customer, line.sku]
            if bought.left and (line.is_goods or bought.price == line.price)
        ]
        candidates.sort(key=lambda bought: (bought.price != line.price, bought.left < wanted, -bought.order))
        pieces = []
        for bought in candidates:
            quantity = min(wanted, bought.left)
            if quantity == 0:
                break
            bought.left -= quantity
            wanted -= quantity
            pieces.append(Piece(order=bought.order, line=line, quantity=quantity, price=bought.price))
        return pieces

    def _fate_of_return(self, line: Line, taken: int) -> Fate:
        if not line.readable:
            return Fate.UNREADABLE
        if line.quantity >= 0:
            return Fate.NO_QUANTITY
        if taken:
            return Fate.RETURNED if taken == -line.quantity else Fate.RETURNED_IN_PART
        if not line.is_goods:
            return Fate.NOT_GOODS
        if not line.customer:
            return Fate.NO_CUSTOMER
        return Fate.EXCEEDS if self._bought[line.customer, line.sku] else Fate.NO_EARLIER_ORDER


def _refusal(lines: tuple[Line, ...]) -> Fate | None:
    """Why the server must refuse an order of these lines; None if it must accept it."""
    if len(lines) > MAX_LINES:
        return Fate.TOO_MANY_LINES
    return Fate.TOO_MANY_UNITS if any(line.quantity > MAX_QUANTITY for line in lines) else None


# -- products ---------------------------------------------------------------------------------------------------------
def _products(invoices: tuple[Invoice, ...], steps: list[Step], fates: dict[int, Fate]) -> tuple[Product, ...]:
    """One product for each StockCode in an order or adjustment, by first appearance."""
    needed: dict[str, int] = {}
    for step in steps:
        match step.action:
            case Order(lines=lines, unholdable=unholdable, refusal=refusal):
                for line in lines:
                    needed[line.sku] = needed.get(line.sku, 0) + (0 if refusal else line.quantity)
                for line in unholdable:
                    needed.setdefault(line.sku, 0)
            case Adjustment(line):
                needed[line.sku] = needed.get(line.sku, 0) + max(0, -line.quantity)
    # Staff's jottings on unpriced lines ("amazon", "?") name a product only if nothing else does.
    names: defaultdict[str, Counter[str]] = defaultdict(Counter)
    jottings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    prices: defaultdict[str, list[Decimal]] = defaultdict(list)
    for invoice in invoices:
        for line in invoice.lines:
            if line.description:
                (names if line.price > 0 else jottings)[line.sku][line.description] += 1
            if fates[line.number] is Fate.SOLD:
                prices[line.sku].append(line.price)
    return tuple(
        Product(
            sku=sku,
            name=_most_frequent(names[sku] or jottings[sku]) or f"{sku} (no description)",
            price=median(prices[sku] or [Decimal(0)]).quantize(CENT, ROUND_HALF_UP),
            needed=units,
        )
        for sku, units in needed.items()
    )


def _most_frequent(words: Counter[str]) -> str:
    return words.most_common(1)[0][0] if words else ""
