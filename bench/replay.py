"""Play a real shop's month through the HTTP API of a running server, check every answer, and account for every unit.

Run it with ``make replay``, or with ``python -m bench.replay`` and these variables: PORT, FILE, LIMIT (invoices),
WORKERS, SCARCE (per cent of the demand that opening stock leaves uncovered). Exit codes: 0 everything is right, 1
something is wrong, 2 the replay could not run.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

from bench import report, retail
from bench.checks import Bought, Rules, Sale, Stock, shares
from bench.client import Answer, Client, Unreachable
from bench.progress import Progress
from bench.retail import Adjustment, Line, Order, Piece, Plan, Product, Return
from config import fees

ROOT = Path(__file__).resolve().parent.parent
MONTH = ROOT.parent / "shared/data/online-retail/2010-12.csv.gz"
EXCERPT = ROOT / "bench/data/online-retail-excerpt.csv.gz"
WAREHOUSES = ("RETAIL-1", "RETAIL-2", "RETAIL-3")
SETTLE = 60  # seconds an order may stay open after its answer
_OPEN = {"PENDING", "AWAITING_PAYMENT", "PAYMENT_PENDING", "CONFIRMED"}

Item = TypeVar("Item")
Result = TypeVar("Result")


class CannotReplay(Exception):
    """The replay cannot start or continue. The message is for the person who started it."""


@dataclass(frozen=True)
class Settings:
    base_url: str
    file: Path
    limit: int | None
    workers: int
    scarce: int
    rules: Rules

    @classmethod
    def from_environment(cls) -> Settings:
        port = _whole("PORT", 8000)
        return cls(
            base_url=f"http://127.0.0.1:{port}",
            file=Path(os.environ.get("FILE") or (MONTH if MONTH.exists() else EXCERPT)),
            limit=_whole("LIMIT", 0) or None,
            workers=max(1, _whole("WORKERS", 4)),
            scarce=min(100, _whole("SCARCE", 0)),
            rules=Rules(_amount("ECI_TAX_RATE", "0.05"), _fee()),
        )


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise CannotReplay(f"{name} must be a whole number, not '{text}'.")
    return int(text)


def _amount(name: str, default: str) -> Decimal:
    text = os.environ.get(name) or default
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CannotReplay(f"{name} must be a decimal number, not '{text}'.") from None


def _fee() -> Decimal:
    """The fee of the shop's currency, in which the replay trades."""
    currency = os.environ.get("ECI_CURRENCY") or "USD"
    try:
        amounts = fees.parse(os.environ.get("ECI_SHIPPING_FEE", ""), currency=currency)
    except ImproperlyConfigured as error:
        raise CannotReplay(str(error)) from None
    if currency not in amounts:
        raise CannotReplay(f"ECI_SHIPPING_FEE has no amount in {currency}.")
    return amounts[currency]


@dataclass
class Results:
    """What happened. Threads write here under the replay's lock."""

    fates: dict[int, str]
    bought: dict[int, Bought] = field(default_factory=dict)  # by the order's step
    stock: dict[int, Stock] = field(default_factory=dict)  # by product_id
    latencies: list[float] = field(default_factory=list)
    returns: Counter[str] = field(default_factory=Counter)
    adjustments: Counter[str] = field(default_factory=Counter)
    split: int = 0
    mismatches: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)
    play_seconds: float = 0.0


class Replay:
    def __init__(self, settings: Settings, plan: Plan, client: Client) -> None:
        self.settings, self.plan, self.client = settings, plan, client
        self.run = secrets.token_hex(4)  # part of every idempotency key of this run
        self.products: dict[str, int] = {}
        self.results = Results(fates=dict(plan.fates))
        self._lock = threading.Lock()

    # -- opening ------------------------------------------------------------------------------------------------------
    def open_shop(self) -> None:
        """Create warehouses, products and opening stock."""
        for priority, code in enumerate(WAREHOUSES, start=1):
            body = {"code": code, "name": f"Retail replay {priority}", "priority": priority}
            _done(self.client.post("/v1/warehouses", body, key=f"{self.run}-warehouse-{code}"), 200, 201, 409)
        ids = self._each("products", self.plan.products, self._product)
        self.products = {product.sku: product_id for product, product_id in zip(self.plan.products, ids, strict=True)}
        for product_id, (on_hand, available) in self._availability().items():
            self.results.stock[product_id] = Stock(on_hand=on_hand, available=available)
        self._each("opening stock", self.plan.products, self._receive)

    def _product(self, product: Product) -> int:
        body = {"sku": product.sku, "name": product.name, "price": f"{product.price:.2f}"}
        key = f"{self.run}-product-{product.sku.encode().hex()}"
        answer = self.client.post("/v1/products", body, key=key)
        if answer.status == 409 and answer.code == "duplicate_sku":
            answer = self.client.get(f"/v1/products/sku/{quote(product.sku, safe='')}")
        _done(answer, 200, 201)
        if answer.data["sku"] != product.sku:
            raise CannotReplay(f"Asked for SKU {product.sku}, the server answered {answer.data['sku']}.")
        return int(answer.data["product_id"])

    def _receive(self, product: Product) -> None:
        product_id = self.products[product.sku]
        units = product.needed * (100 - self.settings.scarce) // 100
        for warehouse, share in zip(WAREHOUSES, shares(units), strict=True):
            if share:
                body = {"product_id": product_id, "warehouse": warehouse, "onhand": share}
                _done(self.client.post("/v1/inventory", body, key=f"{self.run}-receipt-{product_id}-{warehouse}"), 201)
        self.results.stock[product_id].received = units

    def _each(self, label: str, items: Iterable[Item], work: Callable[[Item], Result]) -> list[Result]:
        """Run ``work`` on every item, WORKERS at a time; stop at the first failure."""
        todo = tuple(items)
        progress = Progress(label, len(todo))

        def one(item: Item) -> Result:
            result = work(item)
            progress.tick()
            return result

        pool = ThreadPoolExecutor(self.settings.workers)
        try:
            return list(pool.map(one, todo))
        finally:
            pool.shutdown(cancel_futures=True)

    # -- trade --------------------------------------------------------------------------------------------------------
    def play(self) -> None:
        """Play the steps in order, WORKERS at a time; each step waits for the steps it comes after.

        Those started before it, so the wait cannot deadlock.
        """
        steps = self.plan.steps
        progress = Progress("trade", len(steps))
        done = [threading.Event() for _ in steps]

        def one(index: int) -> None:
            for earlier in steps[index].after:
                done[earlier].wait()
            try:
                self._step(index)
            except Exception as error:  # a failed step is reported with the others; the replay goes on
                self._unexpected(f"step {index}: {type(error).__name__}: {error}")
                self._fate(steps[index].action.lines, "failed: see the unexpected answers")
            finally:
                done[index].set()
                progress.tick()

        begun = time.monotonic()
        pool = ThreadPoolExecutor(self.settings.workers)
        try:
            list(pool.map(one, range(len(steps))))
        finally:
            pool.shutdown(cancel_futures=True)
        self.results.play_seconds = time.monotonic() - begun

    def _step(self, index: int) -> None:
        match self.plan.steps[index].action:
            case Order() as order:
                self._order(index, order)
            case Adjustment(line):
                self._adjust(line)
            case Return() as returned:
                self._return(returned)

    def _order(self, index: int, order: Order) -> None:
        if order.unholdable:
            self._refused_as_it_stands(order)
        if not order.lines:
            return
        begun = time.monotonic()
        answer = self._post_order(order, order.lines, f"{self.run}-order-{order.invoice.number}")
        with self._lock:
            self.results.latencies.append(time.monotonic() - begun)
        if answer.status in (201, 202):
            self._placed(index, order, self._settled(answer.data))
        elif order.refusal:
            self._must_be_400(order, answer)
        else:
            if not (answer.code == "insufficient_stock" and self.settings.scarce):
                self._unexpected(f"invoice {order.invoice.number}: {answer}")
            self._fate(order.lines, _refused(answer))

    def _refused_as_it_stands(self, order: Order) -> None:
        """Send an invoice with fractions of a cent whole: the server must refuse it. Its other lines are sent later."""
        key = f"{self.run}-whole-{order.invoice.number}"
        self._must_be_400(order, self._post_order(order, order.lines + order.unholdable, key))

    def _must_be_400(self, order: Order, answer: Answer) -> None:
        if (answer.status, answer.code) != (400, "validation_error"):
            self._unexpected(f"invoice {order.invoice.number}: expected 400 validation_error, got {answer}")

    def _post_order(self, order: Order, lines: tuple[Line, ...], key: str) -> Answer:
        items = [
            {"product_id": self.products[line.sku], "quantity": line.quantity, "unit_price": f"{line.price:f}"}
            for line in lines
        ]
        body = {"email": order.invoice.email, "items": items, "fulfilment": "automatic"}
        return self.client.post("/v1/orders", body, key=key)

    def _settled(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order once its payment and dispatch are decided, or after SETTLE seconds."""
        give_up = time.monotonic() + SETTLE
        while order["status"] in _OPEN and time.monotonic() < give_up:
            time.sleep(0.2)
            answer = self.client.get(f"/v1/orders/{order['order_id']}")
            order = answer.data if answer.status == 200 else order
        return order

    def _placed(self, index: int, order: Order, answered: dict[str, Any]) -> None:
        if order.refusal:
            self._unexpected(f"invoice {order.invoice.number}: accepted, but should have been {order.refusal}")
        if answered["status"] != "SHIPPED":
            self._unexpected(f"invoice {order.invoice.number}: {answered['order_id']} ended {answered['status']}")
            self._fate(order.lines, f"refused: {answered['status']}")
            return
        sales = tuple(Sale(self.products[line.sku], line.quantity, line.price) for line in order.lines)
        bought = Bought(answered["order_id"], sales, self.settings.rules)
        differences = bought.differences(answered)
        with self._lock:
            if differences:
                self.results.mismatches.append(f"invoice {order.invoice.number}: {'; '.join(differences)}")
            self.results.bought[index] = bought
            self.results.split += len(answered["shipments"]) > 1
            for sale in sales:
                self.results.stock[sale.product_id].sold += sale.quantity

    # -- returns and stock --------------------------------------------------------------------------------------------
    def _return(self, returned: Return) -> None:
        for order in dict.fromkeys(piece.order for piece in returned.pieces):
            self._return_to(order, returned, tuple(piece for piece in returned.pieces if piece.order == order))

    def _return_to(self, order: int, returned: Return, pieces: tuple[Piece, ...]) -> None:
        bought = self.results.bought.get(order)
        if bought is None:
            self._not_returned(pieces, "not returned: its order was not placed")
            return
        units: Counter[int] = Counter()
        for piece in pieces:
            units[self.products[piece.line.sku]] += piece.quantity
        items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in units.items()]
        answer = self.client.post(
            f"/v1/orders/{bought.order_id}/returns",
            {"items": items, "reason": "customer return"},
            key=f"{self.run}-return-{returned.invoice.number}-{order}",
        )
        if answer.status != 201:
            self._unexpected(f"return {returned.invoice.number} of {bought.order_id}: {answer}")
            self._not_returned(pieces, f"not returned: {answer.code}")
            return
        differences = bought.take_back(dict(units), Decimal(answer.data["refund"]))
        with self._lock:
            self.results.returns["made"] += 1
            if differences:
                self.results.mismatches.append(f"return {returned.invoice.number}: {'; '.join(differences)}")
            for product_id, quantity in units.items():
                self.results.stock[product_id].returned += quantity

    def _not_returned(self, pieces: tuple[Piece, ...], why: str) -> None:
        with self._lock:
            self.results.returns[why] += 1
        self._fate((piece.line for piece in pieces), why)

    def _adjust(self, line: Line) -> None:
        moved = self._write_off(line, -line.quantity) if line.quantity < 0 else self._add(line, WAREHOUSES[0])
        whole = moved == line.quantity
        with self._lock:
            self.results.stock[self.products[line.sku]].adjusted += moved
            self.results.adjustments["made" if whole else "not wholly made: insufficient_stock"] += 1
        if whole:
            return
        self._fate((line,), "refused: insufficient_stock (a write-off)")
        if not self.settings.scarce:
            self._unexpected(f"invoice {line.invoice}: {-moved} of {-line.quantity} units of {line.sku} written off")

    def _add(self, line: Line, warehouse: str) -> int:
        _done(self._post_adjustment(line, warehouse, line.quantity, "found"), 200, 201)
        return line.quantity

    def _write_off(self, line: Line, units: int) -> int:
        """Write units off, the fullest warehouse first; look again if a sale took them meanwhile."""
        left = units
        for attempt in range(20):
            warehouse, available = self._fullest(self.products[line.sku]) if left else ("", 0)
            if not available:
                break
            part = min(left, available)
            answer = self._post_adjustment(line, warehouse, -part, f"off-{attempt}")
            if answer.status != 409:
                _done(answer, 200, 201)
                left -= part
        return left - units

    def _fullest(self, product_id: int) -> tuple[str, int]:
        answer = _done(self.client.get(f"/v1/inventory/availability/{product_id}"), 200)
        rows = [(row["available"], row["warehouse"]) for row in answer.data["warehouses"]]
        available, warehouse = max(rows, default=(0, ""))
        return warehouse, available

    def _post_adjustment(self, line: Line, warehouse: str, delta: int, part: str) -> Answer:
        reason = line.description or ("stock found" if delta > 0 else "stock written off")
        body = {"product_id": self.products[line.sku], "warehouse": warehouse, "delta": delta, "reason": reason}
        return self.client.post("/v1/inventory/adjustments", body, key=f"{self.run}-{part}-{line.number}")

    # -- closing ------------------------------------------------------------------------------------------------------
    def count_stock(self) -> None:
        """Compare every product's units now with what the run did to them."""
        now = self._availability()
        skus = {product_id: sku for sku, product_id in self.products.items()}
        for product_id, stock in self.results.stock.items():
            if differences := stock.differences(*now[product_id]):
                self.results.unaccounted.append(f"{skus[product_id]}: {'; '.join(differences)}")

    def _availability(self) -> dict[int, tuple[int, int]]:
        """On hand and available of every product of the run."""
        ids = list(self.products.values())
        found: dict[int, tuple[int, int]] = {}
        for start in range(0, len(ids), 200):
            chunk = ",".join(map(str, ids[start : start + 200]))
            answer = _done(self.client.get(f"/v1/inventory/availability?product_ids={chunk}"), 200)
            found |= {row["product_id"]: (row["total_on_hand"], row["total_available"]) for row in answer.data}
        return found

    # -- notes --------------------------------------------------------------------------------------------------------
    def _fate(self, lines: Iterable[Line], fate: str) -> None:
        with self._lock:
            self.results.fates |= {line.number: fate for line in lines}

    def _unexpected(self, text: str) -> None:
        with self._lock:
            self.results.unexpected.append(text)


def _done(answer: Answer, *statuses: int) -> Answer:
    if answer.status not in statuses:
        hint = " The replay needs open mode, which `make run` gives." if answer.status in (401, 403) else ""
        raise CannotReplay(f"The server answered {answer}.{hint}")
    return answer


def _refused(answer: Answer) -> str:
    return f"refused: {answer.code}"


def audit() -> tuple[bool, str]:
    """Whether the books agree, and the last line the audit printed."""
    done = subprocess.run([sys.executable, "manage.py", "audit"], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return done.returncode == 0, lines[-1] if lines else "the audit printed nothing"


def main() -> int:
    settings = Settings.from_environment()
    invoices = retail.read(settings.file)
    plan = retail.plan(invoices[: settings.limit])
    client = Client(settings.base_url, connections=settings.workers)
    if not client.healthy():
        raise CannotReplay(f"No healthy server at {settings.base_url}: start it with `make run`.")
    replay = Replay(settings, plan, client)
    print(f"Replaying {settings.file} at {settings.base_url}, run {replay.run}", flush=True)
    replay.open_shop()
    replay.play()
    replay.count_stock()
    agrees, verdict = audit()
    print(report.table(plan, replay.results, retries=client.retries, audit=(agrees, verdict)))
    results = replay.results
    wrong = results.mismatches or results.unexpected or results.unaccounted or not agrees
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotReplay, Unreachable, retail.BadFile, OSError) as problem:
        print(f"replay: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
