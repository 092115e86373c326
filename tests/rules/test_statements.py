"""Every prepared statement is what Django makes of its queryset, on every engine, and finds the same rows."""

from __future__ import annotations

import inspect
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any, get_type_hints

import pytest
from django.apps import apps
from django.db import connections
from django.db.models import NOT_PROVIDED, AutoField

from contexts.catalog import selectors as catalog
from contexts.catalog.models import Product
from contexts.customers.models import TokenFamily
from contexts.inventory.models import Reservation
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.services import sealing
from contexts.notifications import workflows
from contexts.orders import services
from contexts.orders.models import Order
from contexts.payments.models import Payment
from eci import outbox, trail
from eci.db import unit_of_work
from eci.idempotency import IdempotencyRecord, Key, find
from eci.imports.rows import ImportLineRow, ImportRow
from eci.outbox import InboxRow, OutboxRow
from eci.paging import Paging
from eci.statements import Changes, Columns, Inserts, Reads, Statement, querysets
from eci.statements.inserts import registered as registered_inserts
from eci.statements.stand_ins import ANY
from eci.trail import TrailRow
from tests.support import people
from tests.support.imports import Importing, csv
from tests.support.shop import Shop


@pytest.fixture
def samples(shop: Shop) -> dict[str, list[Any]]:
    """For each argument of a statement, by its name: values to try, so that there is something to find."""
    order, other = (shop.order(key=f"sample {number}").data["order_id"] for number in range(2))
    shop.order(product_id=shop.other_id, quantity=6)
    people.staff("P")
    sealing.seal()
    services.roll_up()
    imported = Importing(shop.api).take(csv("sku,name,price", "SAMPLE,Sample,1"))["import_id"]
    with unit_of_work("payments"):
        trail.record("payments", actor="staff:ann", action="sample", thing="payment:1", before={}, after={"a": 1})
    buyer = people.customer("sample@example.com")
    outbox.relay_once(["orders", "shipping"])
    workflows.send_due()
    record = find("orders", _key_of(order))
    assert record is not None
    page = Paging(limit=2, order="-created_at")
    row = Order.objects.get(pk=order)
    payment = Payment.objects.get(order_id=order)
    reservation = Reservation.objects.get(key=order)
    return {
        "order_id": [order],
        "order_ids": [[order], [order, other, "none"]],
        "key": [order, record.key],
        "keys": [[order], [other, order]],
        "scope": [record.scope],
        "number": [row.number],
        "reference": ["", "PO-1"],
        "product_id": [shop.product_id],
        "product_ids": [[shop.other_id], [shop.product_id, shop.other_id, 10**12]],
        "reservation_ids": [[reservation.pk], [reservation.pk, 10**12]],
        "customer_id": [buyer.customer_id],
        "customer_ids": [[buyer.customer_id], [buyer.customer_id, 10**12]],
        "aggregate_id": [order],
        "events": [[uuid.uuid4()], [uuid.uuid4(), uuid.uuid4()]],
        "answer": ["a sample"],
        "pk": [1],
        "import_pk": [int(imported.rpartition("-")[2])],
        "first": [1, 0],
        "skus": [["SAMPLE"], ["SAMPLE", "none"]],
        "last": [250],
        "delay": [timedelta(), timedelta(seconds=5)],
        "family_id": [TokenFamily.objects.exclude(staff_id=None).latest("pk").pk],
        "staff_id": [TokenFamily.objects.exclude(staff_id=None).latest("pk").staff_id],
        "user_id": [TokenFamily.objects.exclude(staff_id=None).latest("pk").staff_id],
        "paging": [
            page,
            replace(page, order="created_at", after=(row.created_at, "its key")),
            replace(page, after=(row.created_at, "its key"), backwards=True),
        ],
        "status": ["SHIPPED"],
        "warehouse": ["WH001"],
        "since": [row.created_at],
        "created_after": [row.created_at],
        "next_at": [row.created_at],
        "owner": [row.lease_owner],
        "version": [row.version],
        "reservation_id": [reservation.pk],
        "payment_id": [payment.pk],
        "ids": [[1], [1, 2]],
        "owing": [[shop.product_id], [shop.product_id, shop.other_id]],
        "units": [{1: 0}, {1: 0, 2: 0}],
        "read": [AllocationState.SHIPPED],
        "state": [AllocationState.RELEASED],
        "columns": [
            Columns({"currency": "EUR"}),
            Columns({"why": "a sample"}),
            Columns({"resource": "a sample"}),
            Columns({"refusal": {"a": 1}}),
            Columns({"subject": "a sample", "facts": {}}),
        ],
        "created_before": [row.created_at],
        "due": [[1], [1, 2]],
        "until": [row.created_at],
        "at": [row.created_at],
        "lasted": [0, 3],
    }


def _key_of(order_id: str) -> Key:
    order = Order.objects.get(pk=order_id)
    assert order.idempotency_key is not None and order.idempotency_scope is not None
    return Key(scope=order.idempotency_scope, key=order.idempotency_key, fingerprint=order.idempotency_fingerprint)


def test_each_statement_is_its_queryset(samples: dict[str, list[Any]]) -> None:
    catalog.product(product_id=Product.objects.earliest("pk").pk)
    tried = [one for one in querysets.registered if not repr(one).startswith("tests.")]
    for statement in tried:
        for values in _cases(statement, samples):
            _require_same(statement, values)
    assert len(tried) >= 20


def _cases(statement: Statement[Any], samples: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Each argument takes each of its values once, while the others have their first."""
    hints = get_type_hints(statement.definition)
    choices: dict[str, list[Any]] = {}
    for name in inspect.signature(statement.definition).parameters:
        kind = str(hints[name])
        known = [False, True] if "bool" in kind else samples.get(name)
        assert known, f"{statement} takes {name}: give a sample"
        choices[name] = [*known, None] if "None" in kind else known
    if "columns" in choices:
        choices["columns"] = [one for one in choices["columns"] if _fits(statement, choices, one)]
    usual = {name: given[0] for name, given in choices.items()}
    yield usual
    if "paging" in choices:
        key = 1 if isinstance(statement.definition(**usual).model._meta.pk, AutoField) else "none"
        choices["paging"] = [replace(one, after=one.after and (one.after[0], key)) for one in choices["paging"]]
    for name, given in choices.items():
        yield from (usual | {name: value} for value in given[1:])


def _fits(statement: Statement[Any], choices: dict[str, list[Any]], columns: Columns) -> bool:
    asked = statement.definition(**{name: given[0] for name, given in choices.items()} | {"columns": columns})
    return all(hasattr(asked.model, name) for name in columns.keys())  # noqa: SIM118


def _require_same(statement: Statement[Any], values: dict[str, Any]) -> None:
    asked = statement.definition(**values)
    alias = statement.alias(asked.model)
    with suppress(_Undone), unit_of_work(alias) if alias != "default" else nullcontext():
        _, kept = statement.prepared(values)
        assert kept is not None, (statement, values)
        text, params = _spread(*statement.text(values, kept[0]))
        theirs, their_params = statement.compiler(alias, asked).as_sql()
        assert (_bare(text), _plain(params)) == (_bare(theirs), _plain(their_params)), (statement, values)
        if isinstance(statement, Reads):
            assert [_all_of(row) for row in statement(**values)] == [_all_of(row) for row in asked], statement
        else:
            assert isinstance(statement, Changes)
            found = asked.queryset.count()
            assert statement(**values) == found, (statement, values)
        raise _Undone


_ARRAYS = re.compile(
    re.escape(f"= {ANY}") + r"|\(%s::bigint\[\]\)\[array_position\(%s::bigint\[\], ([^)]*)\)\]|%s",
)


def _spread(text: str, params: Iterable[Any]) -> tuple[str, list[Any]]:
    """What PostgreSQL takes as arrays, one by one as Django writes it."""
    given, spread = iter(params), []

    def placed(found: re.Match[str]) -> str:
        if found[0] == "%s":
            spread.append(next(given))
            return "%s"
        numbers = json.loads(f"[{next(given)[1:-1]}]")
        if found[1] is None:
            spread.extend(numbers)
            return f"IN ({', '.join(['%s'] * len(numbers))})"
        keys = json.loads(f"[{next(given)[1:-1]}]")
        spread.extend(chain.from_iterable(zip(keys, numbers, strict=True)))
        return f"CASE {found[1]}{' WHEN %s THEN %s' * len(keys)} END"

    return _ARRAYS.sub(placed, text), spread


def _bare(text: str) -> str:
    """Django puts a CASE into parentheses, and leaves what has some already."""
    return re.sub(r"\((CASE [^()]* END)\)", r"\1", text)


def _plain(params: Iterable[Any]) -> list[Any]:
    """psycopg's wrappers of JSON equal nothing."""
    return [getattr(one, "obj", one) for one in params]


class _Undone(Exception):
    """So that there is as much to find for the next one."""


def _all_of(row: Any) -> Any:
    """Everything that a model has, and what was selected beside it."""
    if not hasattr(row, "_state"):
        return row
    beside = {name: _all_of(one) for name, one in row._state.fields_cache.items()}
    own = {name: value for name, value in vars(row).items() if name not in ("_state", "now")}
    return own, beside, row._state.db, row._state.adding


class _Captured(Exception):
    pass


def test_each_insert_is_bulk_create(samples: dict[str, list[Any]]) -> None:
    tried = [one for one in registered_inserts if apps.is_installed(one.model.__module__[:-7])]
    for inserts in tried:
        kept = inserts.model._default_manager.first()
        if kept is None:
            # a context's is as the other contexts'
            another = InboxRow | OutboxRow | IdempotencyRecord | TrailRow | ImportRow | ImportLineRow
            assert issubclass(inserts.model, another), f"{inserts}: let a sample have one"
            continue
        alias = kept._state.db
        assert alias

        def row(inserts: Inserts[Any] = inserts, kept: Any = kept) -> Any:
            has_key = bool(inserts.replaces) or not isinstance(inserts.model._meta.pk, AutoField)
            fields = [field for field in inserts.model._meta.concrete_fields if has_key or not field.primary_key]
            values = {
                field.attname: getattr(kept, field.attname) for field in fields if field.db_default is NOT_PROVIDED
            }
            return inserts.model(**values)

        def theirs(inserts: Inserts[Any] = inserts) -> Any:
            made = row()
            for name, expression in inserts.same.items():
                setattr(made, name, expression)
            over: dict[str, Any] = (
                {"update_fields": inserts.replaces, "unique_fields": ["pk"]} if inserts.replaces else {}
            )
            inserts.model._default_manager.bulk_create(
                [made], ignore_conflicts=inserts.once, update_conflicts=bool(over), **over
            )

        ours, expected = _sent(alias, lambda: inserts([row()])), _sent(alias, theirs)  # noqa: B023
        assert ours == expected, f"{inserts}: {ours} != {expected}"
    assert len(tried) >= 10


def _sent(alias: str, insert: Any) -> Any:
    """What would be sent. Nothing is: the row is there already."""
    sent: list[Any] = []

    def capture(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith("INSERT"):
            return execute(sql, params, many, context)
        sent.append((sql, _plain(params)))
        raise _Captured

    with connections[alias].execute_wrapper(capture), pytest.raises(_Captured), unit_of_work(alias):
        insert()
    return sent


def test_a_statement_about_several_rows_is_planned_once(db: None) -> None:
    """PostgreSQL plans a statement anew for its first five calls, and later where it finds the kept plan dearer."""
    if connections["catalog"].vendor != "postgresql":
        pytest.skip("keeps every plan")
    Product.objects.bulk_create(
        Product(sku=f"PLAN-{number}", name="A", price_minor=1, price_thousandths=10, currency="EUR")
        for number in range(1_000)
    )
    with connections["catalog"].cursor() as asking:
        asking.execute("ANALYZE catalog_product")
        for _ in range(12):
            assert catalog.known_products(product_ids=[1]) <= {1}
        asking.execute("SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE '%%= ANY (%%'")
        assert [kept for (kept,) in asking.fetchall() if kept > 2]
