"""What is measured of a running shop and of what stands beside it: each function is one stretch of load.

A stretch is measured from its first call until everything that it causes is done, so that no work is counted twice or
not at all. Processor time is that of whole process trees.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import databases, machine, retail
from bench.checks import percentile
from bench.floor import Floor
from bench.load import Call, Tally, drive
from bench.mailbox import Mailbox
from bench.oscar import Oscar
from bench.shop import Shop, ShopError

Stretch = dict[str, Any]
CLIENTS = (1, 8, 32)
READERS = 8
LISTED = 20  # orders of a page
PLACING = 60  # seconds that a page of orders may take
TRIES = 3  # on a machine that others keep busy, a stretch may be over before the first answer


def measured(roots: Mapping[str, int], run: Callable[[], Tally], settle: Callable[[], object] = int) -> Stretch:
    """``roots``: by part, the process whose tree is that part."""
    own = os.getpid()
    for _ in range(TRIES):
        before = machine.look()
        load_before = os.times()
        tally = run()
        load = os.times()
        settle()
        after = machine.look()
        if tally.times:
            break
    else:
        raise ShopError(f"Nothing was answered as expected: {dict(tally.others.most_common(3))}")
    calls = len(tally.times)
    return {
        "clients": tally.clients,
        "calls": calls,
        "rate": tally.rate,
        **{f"p{percent}": percentile(tally.times, percent) for percent in (50, 95, 99)},
        "cpu": {part: (after.cpu(root) - before.cpu(root)) / calls for part, root in roots.items()},
        "load_cpu": (load.user + load.system - load_before.user - load_before.system) * 1000 / calls,
        "foreign": machine.foreign(before, after, own),
        "others": dict(tally.others.most_common(5)),
    }


@dataclass
class Bench:
    """The shop and its peers, all running. ``servers``: the process of each server, by name."""

    shop: Shop
    oscar: Oscar | None
    floor: Floor
    mailbox: Mailbox
    servers: Mapping[str, int]
    products: Sequence[int]
    sold_out: int
    customers: int
    shipped: str = ""  # an order's id, for reads

    def of_shop(self) -> dict[str, int]:
        return self.shop.parts(machine.look()) | dict(self.servers)

    # -- orders -------------------------------------------------------------------------------------------------------
    def floor_orders(self, clients: int, seconds: float) -> Stretch:
        return measured(self._postgres(), lambda: self.floor.run(clients=clients, seconds=seconds))

    def peer_orders(self, clients: int, seconds: float) -> Stretch:
        oscar = self.oscar
        assert oscar is not None

        def call() -> Call:
            body = {"product_id": random.choice(oscar.products), "user_id": random.choice(oscar.users), "quantity": 2}
            return Call("/bench/orders", json.dumps(body).encode())

        roots = {"web": oscar.pid} | self._postgres()
        before = self.mailbox.received
        stretch = measured(roots, lambda: drive(oscar.url, call, clients=clients, seconds=seconds, expected=201))
        return stretch | {"mails": (self.mailbox.received - before) / stretch["calls"]}

    def _postgres(self) -> dict[str, int]:
        return {name: pid for name, pid in self.servers.items() if name == "PostgreSQL"}

    def orders(self, clients: int, seconds: float) -> Stretch:
        return self._place(lambda: random.choice(self.products), clients, seconds)

    def hot(self, clients: int, seconds: float) -> Stretch:
        """Everybody wants the same product."""
        return self._place(lambda: self.products[0], clients, seconds)

    def refusals(self, clients: int, seconds: float) -> Stretch:
        """Everybody wants what is sold out."""
        return self._place(lambda: self.sold_out, clients, seconds, expected=409)

    def _place(self, product: Callable[[], int], clients: int, seconds: float, *, expected: int = 201) -> Stretch:
        return self._on_shop(lambda: self._order(product()), clients, seconds, expected)

    def _order(self, product_id: int) -> Call:
        items = [{"product_id": product_id, "quantity": 2}]
        return order({"customer_id": random.randint(1, self.customers), "items": items})

    def month(self, todo: Iterator[Call], lines: Mapping[bytes, int], clients: int, seconds: float) -> Stretch:
        """The real shop's orders, in their order, as many as fit; ``lines`` of each by its body."""
        sent: list[Call] = []

        def call() -> Call | None:
            one = next(todo, None)
            if one is not None:
                sent.append(one)
            return one

        stretch = self._on_shop(call, clients, seconds, 201)
        total = sum(lines[one.body or b""] for one in sent)
        stretch["lines"] = total
        stretch["lines_rate"] = total * stretch["rate"] / stretch["calls"]
        return stretch

    # -- reads --------------------------------------------------------------------------------------------------------
    def reads(self) -> dict[str, Callable[[], Call]]:
        return reads(self.products, self.shipped)

    def read(self, name: str, clients: int, seconds: float) -> Stretch:
        return self._on_shop(self.reads()[name], clients, seconds, 200)

    def small_orders(self) -> Iterator[Call]:
        """Of one line each."""
        while True:
            yield self._order(random.choice(self.products))

    def order_list(self, orders: Iterator[Call], clients: int, seconds: float) -> Stretch:
        """A page of these orders, which are placed first. ``lines``: how many the page has."""
        placed = itertools.islice(orders, LISTED)
        self._on_shop(lambda: next(placed, None), clients, PLACING, 201)
        stretch = self._on_shop(lambda: ORDER_LIST, clients, seconds, 200)
        page = self.shop.ask(ORDER_LIST.path, headers=self.shop.token())["data"]
        lines = sum(len(one["items"]) for one in page)
        return stretch | {"lines": lines, "lines_rate": lines * stretch["rate"]}

    def _on_shop(self, call: Callable[[], Call | None], clients: int, seconds: float, expected: int) -> Stretch:
        shop, token = self.shop, self.shop.token()
        shop.settle()
        headers = token | {"Content-Type": "application/json"}
        before = self.mailbox.received
        stretch = measured(
            self.of_shop(),
            lambda: drive(shop.url, call, clients=clients, seconds=seconds, expected=expected, headers=headers),
            shop.settle,
        )
        return stretch | {"mails": (self.mailbox.received - before) / stretch["calls"]}


ORDER_LIST = Call(f"/v1/orders?limit={LISTED}")


def reads(products: Sequence[int], order_id: str) -> dict[str, Callable[[], Call]]:
    words = ("glass lamp", "brass", "oak table", "linen mug", "vintage rug", "cushion")
    return {
        "product list": lambda: Call("/v1/products?limit=20"),
        "search": lambda: Call(f"/v1/products/search?q={random.choice(words).replace(' ', '+')}"),
        "availability": lambda: Call(f"/v1/inventory/availability/{random.choice(products)}"),
        "order detail": lambda: Call(f"/v1/orders/{order_id}"),
    }


def order(body: Mapping[str, Any]) -> Call:
    return Call("/v1/orders", json.dumps(body).encode(), {"Idempotency-Key": uuid.uuid4().hex})


def of_the_month(invoices: Sequence[retail.Invoice], shop: Shop) -> tuple[Iterator[Call], dict[bytes, int]]:
    """The month's orders, again and again, and the lines of each."""
    with databases.cursor(shop.databases["catalog"]) as found:
        found.execute("SELECT sku, id FROM catalog_product")
        ids = dict(found.fetchall())
    bodies, lines = [], {}
    for step in retail.plan(invoices).steps:
        if isinstance(step.action, retail.Order) and step.action.lines and not step.action.refusal:
            items = [
                {"product_id": ids[line.sku], "quantity": line.quantity, "unit_price": f"{line.price:f}"}
                for line in step.action.lines
            ]
            body = {"email": step.action.invoice.email, "items": items, "fulfilment": "automatic"}
            bodies.append(body)
            lines[json.dumps(body).encode()] = len(items)
    return map(order, itertools.cycle(bodies)), lines
