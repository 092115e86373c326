"""One of seven services is away under load, killed or frozen: who is refused what, and what becomes of it.

    python -m tests.trouble.outages.services_away [--seconds N] [--only CONTEXT]

Clients buy at the gateway with a key (and repeat until there is an order) and without one, and read every context. Each
line is one service away for N seconds (20). Prints a table and whatever broke a promise, and exits with 1 when
something did: only 503s that name the one who is away, or answers that say what is `unavailable`; other contexts' reads
go on, and an order is read within three seconds; no refused order without a key comes to be; everything settles by
itself; every part finds its books sound.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from config.contexts import CONTEXTS
from tests.support.api import Answer
from tests.support.product import DemoShop, HttpApi, Product, wait_until
from tests.support.services import environment_of, processes, services

KILLED, FROZEN = "killed", "frozen"
PAUSE = 0.3  # seconds a client thinks
OPENING = 1_000_000
READ = 3.0  # seconds that an order's read may take while another context is away
LINE = "{:14} {:7} {:>7} {:>6} {:>6} {:>12} {:>12} {:>10} {:>12} {:>9}"
ENDED = {"SHIPPED", "CANCELLED", "EXPIRED"}


@dataclass(frozen=True)
class Call:
    what: str
    status: int
    code: str
    context: str  # that an error names
    unavailable: tuple[str, ...]  # parts that an answer says are missing
    began: float
    seconds: float


@dataclass
class Clients:
    url: str
    keyed: int  # products
    keyless: int
    calls: list[Call] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    placed: dict[str, str] = field(default_factory=dict)  # the order of each key
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self, what: str, send: Callable[[], Answer]) -> Answer | None:
        began = time.monotonic()
        try:
            answer = send()
        except httpx.TransportError as error:
            self.calls.append(Call(what, 0, type(error).__name__, "", (), began, time.monotonic() - began))
            return None
        refused = answer.json if answer.status >= 400 else {}
        data = answer.json.get("data")
        missing = tuple(data.get("unavailable") or ()) if isinstance(data, dict) else ()
        named = (refused.get("details") or {}).get("context", "")
        spent = time.monotonic() - began
        self.calls.append(Call(what, answer.status, refused.get("code", ""), named, missing, began, spent))
        return answer

    def buy(self) -> None:
        shop = DemoShop(HttpApi(self.url))
        while not self.over.is_set():
            key = uuid.uuid4().hex
            self.asked.add(key)
            while key not in self.placed:
                answer = self.ask("order", lambda key=key: shop.order(self.keyed, key=key))  # type: ignore[misc]
                if answer is not None and answer.status == 201:
                    self.placed[key] = answer.data["order_id"]
                time.sleep(PAUSE)

    def buy_without_key(self) -> None:
        shop = DemoShop(HttpApi(self.url))
        while not self.over.wait(PAUSE):
            self.ask("keyless order", lambda: shop.order(self.keyless))

    def read(self, context: str, path: str) -> None:
        api = HttpApi(self.url)
        while not self.over.wait(PAUSE):
            self.ask(context, lambda: api.get(path))


@contextmanager
def trading(clients: Clients, order_id: str) -> Iterator[None]:
    reads = {
        "catalog": f"/v1/products/{clients.keyed}",
        "customers": "/v1/customers/1",
        "inventory": f"/v1/inventory/availability/{clients.keyed}",
        "payments": f"/v1/payments?order_id={order_id}",
        "orders": f"/v1/orders/{order_id}",
        "shipping": f"/v1/shipments?order_id={order_id}",
        "notifications": f"/v1/notifications?order_id={order_id}",
    }
    work: list[tuple[Callable[..., None], tuple[str, ...]]] = [(clients.buy, ())] * 4 + [
        (clients.buy_without_key, ())
    ] * 4
    work += [(clients.read, (context, path)) for context, path in reads.items()]
    threads = [threading.Thread(target=function, args=told) for function, told in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        clients.over.set()
        for thread in threads:
            thread.join(120)


def take_away(parts: Product, context: str, how: str, seconds: float) -> None:
    """Killed again and again, because it is started again."""
    end = time.monotonic() + seconds
    frozen = []
    while time.monotonic() < end:
        for pid in processes(parts, f"ECI_SERVICE_NAME={context}"):
            if how == KILLED:
                _send(pid, signal.SIGKILL)
            elif pid not in frozen:
                _send(pid, signal.SIGSTOP)
                frozen.append(pid)
        time.sleep(0.1)
    for pid in frozen:
        _send(pid, signal.SIGCONT)


def _send(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


def broken(calls: list[Call], away: str) -> Iterator[str]:
    """What was answered in that time though it was promised otherwise: each kind with how often."""
    found = Counter(
        f"{call.what} {call.status} {call.code} {call.context} {','.join(call.unavailable)}".strip()
        for call in calls
        if not _is_kept(call, away)
    )
    return (f"{count} × {told}" for told, count in found.items())


def _is_kept(call: Call, away: str) -> bool:
    if call.what in CONTEXTS and call.what not in (away, "orders"):
        return call.status == 200
    if call.status == 503:
        return (call.code, call.context) == ("context_unavailable", away)
    if call.status == 409:
        return call.code == "idempotency_in_progress"
    return call.status in (200, 201, 202) and set(call.unavailable) <= {away}


def try_one(parts: Product, context: str, how: str, seconds: float) -> list[str]:
    shop = DemoShop(parts.api)
    name = f"{context}-{how}-{uuid.uuid4().hex[:6]}".upper()
    clients = Clients(parts.url, shop.sell(f"{name}-A", WH001=OPENING), shop.sell(f"{name}-B", WH001=OPENING))
    first = shop.order(clients.keyed).data["order_id"]
    findings = []
    with trading(clients, first):
        wait_until(lambda: len(clients.placed) >= 5, 60, "orders come in")
        began = time.monotonic()
        take_away(parts, context, how, seconds)
        back = time.monotonic()
        waiting = set(clients.asked)
        wait_until(lambda: waiting <= set(clients.placed), 120, "what was asked meanwhile is ordered")
        settled = time.monotonic() - back
        wait_until(lambda: parts.api.get("/health").json["status"] == "healthy", 60, "all are healthy")
    away = [call for call in clients.calls if began - 1 <= call.began <= back]
    findings += broken(away, context)
    slow = [call for call in away if call.what == "orders" and call.seconds > READ and context != "orders"]
    if slow:
        findings.append(f"{len(slow)} reads of an order took more than {READ:.0f} s, up to {_slowest(slow):.1f}")
    wait_until(lambda: _unfinished(parts.api, clients) == 0, 90, "every order ends")
    ended = time.monotonic() - back
    orders = [order for order in _orders(parts.api) if order["items"][0]["product_id"] == clients.keyless]
    told = [call for call in clients.calls if call.what == "keyless order"]
    maybe = sum(1 for call in told if call.status in (0, 202))
    made, answered = len(orders), sum(1 for call in told if call.status == 201)
    if not answered <= made <= answered + maybe:
        findings.append(f"{made} orders without a key, {answered} answered 201, {maybe} with 202 or not at all")
    if len(set(clients.placed.values())) != len(clients.asked):
        findings.append(f"{len(clients.asked)} keys, {len(set(clients.placed.values()))} orders")
    for part in CONTEXTS:
        audit = Product(parts.data_dir, parts.environment | environment_of(parts, part)).manage("audit")
        if audit.returncode:
            findings.append(f"audit of {part}: {audit.stdout.strip()[-300:]}")
    of_it = [call for call in away if call.what in (context, "order", "keyless order", "orders")]
    others = [call for call in away if call.what in CONTEXTS and call.what not in (context, "orders")]
    refused = sum(1 for call in away if call.status == 503)
    partly = sum(1 for call in away if call.unavailable)
    print(
        LINE.format(
            context,
            how,
            sum(1 for call in away if call.status == 201),
            refused,
            partly,
            f"{_slowest(of_it):.1f}",
            f"{_slowest([call for call in away if call.what == 'orders']):.1f}",
            f"{_slowest(others):.1f}",
            f"{settled:.1f}, {ended:.1f}",
            len(findings),
        ),
        flush=True,
    )
    return [f"{context} {how}: {finding}" for finding in findings]


def _orders(api: HttpApi) -> list[Any]:
    return api.everything("/v1/orders")


def _unfinished(api: HttpApi, clients: Clients) -> int:
    return sum(1 for order in _orders(api) if order["status"] not in ENDED)


def _slowest(calls: list[Call]) -> float:
    return max((call.seconds for call in calls), default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", choices=sorted(CONTEXTS), action="append")
    told = parser.parse_args()
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as folder, services(Path(folder)) as parts:
        parts.start()
        wait_until(lambda: parts.api.get("/health").json["status"] == "healthy", 120, "all are healthy")
        print(
            LINE.format(
                "away",
                "",
                "orders",
                "503",
                "partly",
                "its slowest",
                "order's read",
                "others'",
                "settled, s",
                "findings",
            ),
            flush=True,
        )
        for context in told.only or CONTEXTS:
            for how in (KILLED, FROZEN):
                findings += try_one(parts, context, how, told.seconds)
        parts.stop()
    print("\n".join(findings) or "No finding.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
