"""Who did what: one page over all trails, and one's own last actions on the front page."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from config.desk import activity
from contexts.catalog import services
from contexts.catalog.models import Trail
from contexts.inventory.services import stock
from contexts.orders.public.api import orders
from eci import trail
from eci.clock import utcnow
from eci.db import unit_of_work
from eci.remembered import forget_everything
from eci.trail import TrailRow
from tests.config.desk.test_desk import CATALOG, STOCK, SUPPORT, away
from tests.support.shop import Shop
from tests.support.statements import Counted

URL = "/staff/activity"


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """Ann changed a price, closed a warehouse and stopped new orders; bob took it off sale again."""
    services.update_product(product_id=shop.product_id, actor="staff:ann", price=Decimal("89.99"))
    let_a_millisecond_pass()
    stock.update_warehouse(code="WH002", actor="staff:ann", is_active=False)
    let_a_millisecond_pass()
    orders.stop(reason="a count", actor="staff:ann")
    let_a_millisecond_pass()
    services.deactivate_products(product_ids=[shop.product_id], actor="staff:bob")
    return shop


def let_a_millisecond_pass() -> None:
    """By SQLite's clock, too, what follows is later."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        pass


def lines(client: Client, query: str = "") -> list[tuple[str, str, str]]:
    page = client.get(f"{URL}?{query}")
    assert page.status_code == 200
    return [(one.actor, one.action, one.thing) for one in page.context["activity"].lines if one.actor != "open"]


def record(actor: str, *actions: str, context: str = "catalog") -> None:
    for action in actions:
        with unit_of_work(context):
            trail.record(context, actor=actor, action=action, thing="product:1")


def test_the_trail_of_a_context_tells_it_in_words(busy: Shop, admin_client: Client) -> None:
    page = admin_client.get("/admin/catalog/trail/").content.decode()
    assert "price: 89.99 USD" in page and "price_minor" not in page
    assert "warehouse changed" in admin_client.get("/admin/inventory/trail/").content.decode()
    row = apps.get_model("catalog", "Trail")._default_manager.latest("pk")
    assert "before" in admin_client.get(f"/admin/catalog/trail/{row.pk}/change/").content.decode().lower()


class TestThePage:
    def test_tells_of_all_contexts_the_newest_first(self, busy: Shop, admin_client: Client) -> None:
        assert lines(admin_client) == [
            ("staff:bob", "changed", "LAMP, Lamp"),
            ("staff:ann", "orders stopped", "switch"),
            ("staff:ann", "warehouse changed", "warehouse WH002"),
            ("staff:ann", "changed", "LAMP, Lamp"),
        ]
        page = admin_client.get(URL).content.decode()
        assert "price: 99.99 USD → 89.99 USD" in page and "is active: yes → no" in page and "reason: a count" in page
        assert f'<a href="/staff/products/{busy.product_id}">LAMP, Lamp</a>' in page
        assert '<a href="/admin/inventory/warehouse/WH002/change/">' in page

    @pytest.mark.parametrize(
        ("query", "actions"),
        [
            ("actor=staff:bob", ["changed"]),
            ("actor=bob", ["changed"]),
            ("actor=%20bob%20", ["changed"]),
            ("kind=warehouses", ["warehouse changed"]),
            ("kind=products&actor=ann", ["changed"]),
            ("kind=switch", ["orders stopped"]),
            ("actor=nobody", []),
            ("day=2001-01-01", []),
            ("day=2001-01-01&actor=ann", []),
        ],
    )
    def test_finds_a_person_a_day_a_kind(
        self, busy: Shop, admin_client: Client, query: str, actions: list[str]
    ) -> None:
        assert [action for _, action, _ in lines(admin_client, query)] == actions

    def test_a_day_ends_at_midnight_utc(self, admin_client: Client) -> None:
        record("staff:ann", "before", "at", "late", "next")
        midnight = utcnow().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
        for row, at in zip(
            Trail.objects.order_by("pk"),
            (timedelta(microseconds=-1), timedelta(0), timedelta(days=1, microseconds=-1), timedelta(days=1)),
            strict=True,
        ):
            _move(row, midnight + at)
        assert [action for _, action, _ in lines(admin_client, f"day={midnight:%Y-%m-%d}")] == ["late", "at"]
        assert len(lines(admin_client, "actor=ann")) == 4

    def test_pages_neither_lose_nor_repeat_what_happened_at_one_moment(self, admin_client: Client) -> None:
        for number in range(40):
            record("staff:ann", f"c{number}")
            record("staff:ann", f"i{number}", context="inventory")
        at = utcnow()
        for context in ("catalog", "inventory"):
            for row in apps.get_model(context, "Trail").objects.all():
                _move(row, at)
        seen: list[str] = []
        query = "?actor=ann"
        while query:
            page = admin_client.get(URL + query)
            seen += [one.action for one in page.context["activity"].lines]
            query = page.context["following"]
        assert len(seen) == 80 == len(set(seen))

    @pytest.mark.parametrize(
        "query",
        ["day=x", "day=0001-01-01", "day=9999-12-31", "kind=x", "after=x", "after=~~", "after=2020-01-01~catalog~1"]
        + ["after=2020-01-01T00:00:00%2B00:00~catalog~1&actor=ann", "actor=%00", "actor=%E2%80%AE", "day=2020-13-40"]
        + [f"actor={'x' * 3000}", "after=9999-12-31T23:59:59%2B00:00~x~1", "after=0001-01-01T00:00:00%2B23:00~staff~1"],
    )
    def test_copes_with_anything(self, busy: Shop, admin_client: Client, query: str) -> None:
        assert admin_client.get(f"{URL}?{query}").status_code == 200

    @pytest.mark.parametrize(
        ("query", "told"),
        [("day=x", "day"), ("kind=x&day=2020-13-40", "day, kind"), ("after=x&actor=ann", "after"), ("day=&kind=", "")],
    )
    def test_says_what_it_did_not_understand(self, admin_client: Client, query: str, told: str) -> None:
        page = admin_client.get(f"{URL}?{query}").content.decode()
        assert ("This was not understood" in page) == bool(told)
        assert f"left out: {told}." in page or not told

    def test_shows_each_group_its_own_contexts(self, busy: Shop, member: Callable[[str], Client]) -> None:
        def things(group: str) -> set[str]:
            return {thing.partition(" ")[0].rstrip(",") for _, _, thing in lines(member(group))}

        assert (things(CATALOG), things(STOCK), things(SUPPORT)) == ({"LAMP"}, {"warehouse"}, {"switch"})
        assert member("").get(URL).status_code == 403
        assert Client().get(URL).headers["Location"].startswith("/admin/login/")

    def test_names_the_context_that_is_away(self, busy: Shop, admin_client: Client) -> None:
        with away("inventory"):
            page = admin_client.get(URL)
        assert page.context["activity"].unavailable == ("inventory",)
        assert "could not be asked just now" in page.content.decode()

    def test_what_was_erased_is_not_told(self, busy: Shop, admin_client: Client) -> None:
        with unit_of_work("catalog"):
            trail.erase("catalog", things=[f"product:{busy.product_id}"])
        page = admin_client.get(URL).content.decode()
        assert "89.99" not in page and "erased" not in page

    def test_costs_the_same_however_much_happened(
        self, busy: Shop, admin_client: Client, statements: Callable[..., Any]
    ) -> None:
        def cost() -> int:
            with statements() as counted:
                admin_client.get(URL)
            found: Counted = counted
            return found.total

        cost()
        one = cost()
        for number in range(30):
            record("staff:ann", f"more {number}")
        assert cost() == one


class TestMyLastActions:
    def test_stand_on_the_front_page(self, busy: Shop, member: Callable[[str], Client]) -> None:
        client = member(CATALOG)
        assert client.get("/admin/").context["mine"].lines == ()
        name = "staff:catalog staff@example.com"
        services.update_product(product_id=busy.product_id, actor=name, price=Decimal(7))
        forget_everything()
        page = client.get("/admin/")
        [mine] = page.context["mine"].lines
        assert mine.changes == (("price", "89.99 USD", "7.00 USD"),)
        assert "My last actions" in page.content.decode() and "staff:bob" not in page.content.decode()

    def test_are_the_last_ten(self, member: Callable[[str], Client]) -> None:
        record("staff:catalog staff@example.com", *(f"a{number}" for number in range(12)))
        client = member(CATALOG)
        assert [one.action for one in client.get("/admin/").context["mine"].lines] == [
            f"a{number}" for number in range(11, 1, -1)
        ]


def test_every_kind_is_of_one_context_that_has_such_things(busy: Shop) -> None:
    seen = {
        (context, row.thing.partition(":")[0])
        for context in activity.TRAILS
        for row in apps.get_model(context, "Trail").objects.all()
    }
    for context, thing in seen:
        kinds = [kind for kind in activity.KINDS.values() if kind.context == context]
        assert any(f"{thing}:".startswith(kind.thing) for kind in kinds), (context, thing)


@pytest.mark.parametrize("actor", ["", "staff:ann"])
def test_an_index_finds_the_newest(actor: str) -> None:
    if connections["catalog"].vendor != "sqlite":
        pytest.skip("the plan is SQLite's")
    found = Trail.objects.filter(at__lte=Now(), at__gte=utcnow() - timedelta(days=1)).exclude(at=utcnow(), pk__gte=0)
    plan = (found.filter(actor=actor) if actor else found).order_by("-at", "-pk")[:50].explain()
    assert ("catalog_trail_by" if actor else "catalog_trail_when") in plan and "TEMP B-TREE" not in plan


def _move(row: TrailRow, at: Any) -> None:
    """Rows of a trail are never changed, but by the hand of a test."""
    alias = row._meta.app_label
    table = connections[alias].ops.quote_name(row._meta.db_table)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET at = %s WHERE id = %s", [at.replace(tzinfo=None), row.pk])
