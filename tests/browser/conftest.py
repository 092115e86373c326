"""A closed shop as processes, its staff, and one Chromium in which all of them work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser, sync_playwright

from config.staff import demo
from tests.support.browser import PASSWORD, Person
from tests.support.product import HttpApi, Product, free_port, wait_until
from tests.support.programs import chromium
from tests.support.world import ROOT, Seed, world

CATALOG, STOCK, SUPPORT, BOSS = "cat@shop.example", "stu@shop.example", "sue@shop.example", "boss@shop.example"
MEMBERS = [(CATALOG, ["catalog staff"]), (STOCK, ["stock staff"]), (SUPPORT, ["support staff"]), (BOSS, [])]
_BEGIN = f"""
import io, sys, django
django.setup()
from django.core.management import call_command
from decimal import Decimal
from config.books import checkup
from config.books.models import Repair
from config.operations.models import Backup
from contexts.catalog import selectors, services as catalog
from contexts.orders import services as orders
from eci.clock import utcnow
call_command("prepare")
call_command("load_demo")
# What a shop that is older than a minute has had.
version = selectors.product_by_sku(sku="BOOK-COOK")["version"]
dearer = [{{"sku": "BOOK-COOK", "price": Decimal(21)}}]
catalog.change_together(rows=dearer, seen={{"BOOK-COOK": version}}, what="prices", actor="staff:{BOSS}")
orders.set_switch(taking=False, reason="the stock is counted", actor="staff:{BOSS}")
orders.set_switch(taking=True, reason="it is counted", actor="staff:{BOSS}")
Repair.objects.create(actor="staff:{BOSS}", item="order", problem="It is stuck.", action="carry on", outcome="done")
Backup.objects.create(at=utcnow(), seconds=1)
checkup.check_up()
for email, groups in {MEMBERS!r}:
    sys.stdin = io.StringIO({PASSWORD!r} + "\\n")
    call_command("create_staff", email, group=groups, admin=not groups)
"""


class Mailbox:
    """A mail server that knows nobody at refused.example."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.endswith("@refused.example"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return "250 OK"


@dataclass
class Shop:
    """What was there as the day began. Orders and holds by what they are for."""

    product: Product
    orders: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.product.url

    @property
    def api(self) -> HttpApi:
        return self.product.api

    @cached_property
    def token(self) -> str:
        """An administrator's, for the API."""
        return str(self.api.post("/v1/staff/token", {"email": BOSS, "password": PASSWORD}).data["access"])


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        started = playwright.chromium.launch(executable_path=path, args=options, timeout=120_000)
        yield started
        started.close()


@pytest.fixture(scope="package")
def shop(browser: Browser, seed: Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("desk") / "var"
    mail = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    mail.start()
    closed = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_SECURE_COOKIES": "0", "ECI_HSTS_SECONDS": "0"}
    mailing = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mail.port)}
    try:
        with world(seed, folder, **closed, **mailing, ECI_RATE_LIMITS="off") as environment:
            script = environment | {"DJANGO_SETTINGS_MODULE": "config.settings"}
            begun = subprocess.run([sys.executable, "-c", _BEGIN], cwd=ROOT, env=script, capture_output=True, text=True)
            assert begun.returncode == 0, begun.stderr
            product = Product(folder, environment)
            try:
                product.start()
                yield _trade(Shop(product))
                product.stop()
            finally:
                product.clean_up()
    finally:
        mail.stop()


def _trade(shop: Shop) -> Shop:
    """A few orders, as the storefront places them."""
    as_boss = {"Authorization": f"Bearer {shop.token}"}
    skus = [one["sku"] for one in demo.products(currency="USD")]
    mug, cam, pan, pens = (1 + skus.index(sku) for sku in ("MUG-BLUE", "CAM-4K", "PAN-28", "PEN-GEL"))
    to = {"name": "Ada Byron", "line1": "12 Mill Lane", "city": "Leeds", "postal_code": "LS1 4AP", "country": "GB"}
    wanted: dict[str, dict[str, Any]] = {
        "shipped": {"customer_id": 1, "items": [_line(pan, 2), _line(mug, 1)]},
        "other": {"customer_id": 1, "items": [_line(mug, 1)]},
        "refused": {"email": "nobody@refused.example", "items": [_line(pens, 1)]},
        "to pack": {"customer_id": 2, "items": [_line(mug, 2)], "fulfilment": "warehouse"},
        "to pack next": {"customer_id": 3, "items": [_line(pens, 1)], "fulfilment": "warehouse"},
        "to cancel": {"customer_id": 2, "items": [_line(pan, 1)], "fulfilment": "warehouse"},
        "unpaid": {"email": "guest@example.com", "items": [_line(cam, 3)], "pay_later": True},
    }
    for name, body in wanted.items():
        answer = shop.api.post("/v1/orders", body | {"shipping_address": to}, **as_boss)
        assert answer.status in (201, 202), answer.json
        shop.orders[name] = answer.data["order_id"]
    hold = {"idempotency_key": "walk-in-1", "items": [_line(cam, 1)]}
    assert shop.api.post("/v1/inventory/reserve", hold, **as_boss).status == 200
    mails = {"shipped": 2, "other": 2, "refused": 2, "to pack": 1, "to pack next": 1, "to cancel": 1}

    def are_told_of(name: str) -> bool:
        told = shop.api.get(f"/v1/notifications?order_id={shop.orders[name]}", **as_boss).data
        ended = "FAILED" if name == "refused" else "SENT"
        return [one["status"] for one in told] == [ended] * mails[name]

    wait_until(lambda: all(map(are_told_of, mails)), 60, "nothing of the orders is under way")
    return shop


def _line(product_id: int, quantity: int) -> dict[str, int]:
    return {"product_id": product_id, "quantity": quantity}


Enter = Callable[..., Person]


@pytest.fixture
def enter(browser: Browser, shop: Shop) -> Iterator[Enter]:
    """``enter(STOCK)``: somebody who has logged in; ``enter("")``: who has not. No console may say anything."""
    people: list[Person] = []

    def log_in(email: str, **screen: Any) -> Person:
        people.append(Person(browser, shop.url, email, **screen))
        if email:
            people[-1].have_logged_in()
        return people[-1]

    yield log_in
    for person in people:
        person.close()
    assert not [line for person in people for line in person.told]
