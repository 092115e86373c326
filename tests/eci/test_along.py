"""What nobody waits for goes to a server with the next statement of its unit, or with its COMMIT."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Queue
from typing import Any

import pytest
from django.db import IntegrityError, connections

from bench.one_order import ways
from contexts.catalog.models import Idempotency as CatalogKey
from contexts.orders.models import Idempotency as OrdersKey
from eci.db import run_in_unit_of_work, statement_by_itself, unit_of_work
from eci.statements import Change, Changes, Inserts, change, changes
from tests.support.product import wait_until
from tests.support.threads import elsewhere

RECORDS: dict[str, Any] = {"catalog": CatalogKey, "orders": OrdersKey}
ADD: dict[str, Inserts[Any]] = {context: Inserts(model) for context, model in RECORDS.items()}
ON_SERVERS = pytest.mark.skipif(connections["catalog"].vendor == "sqlite", reason="there is no way to a file")
WARM_UP = 4  # psycopg prepares what it was asked twice

each = pytest.mark.parametrize("context", RECORDS)
committing = pytest.mark.django_db(databases=["catalog", "orders"], transaction=True)


def renaming(context: str) -> Changes[...]:
    @changes
    def rename(*, key: str, new: str) -> Change:
        return change(RECORDS[context].objects.filter(key=key), key=new)

    return rename


RENAME = {context: renaming(context) for context in RECORDS}


def send(context: str, *keys: str) -> None:
    ADD[context].along([RECORDS[context](scope="test", key=key, fingerprint="f") for key in keys])


def keys(context: str) -> set[str]:
    return set(RECORDS[context].objects.exclude(key__startswith="warm").values_list("key", flat=True))


@pytest.fixture(autouse=True)
def warm(context: str) -> None:
    for number in range(WARM_UP):
        with unit_of_work(context):
            send(context, f"warm {number}")
            RENAME[context].along(key="warm 0", new="warm 0")
            keys(context)


@ON_SERVERS
@committing
@each
def test_a_unit_that_only_writes_is_one_way(context: str) -> None:
    with ways() as one, unit_of_work(context):
        send(context, "A")
        RENAME[context].along(key="A", new="B")
        send(context, "C")
    with ways() as two, unit_of_work(context):
        send(context, "D")
        assert RENAME[context](key="D", new="E") == 1
        send(context, "F")
    with ways() as none, unit_of_work(context):
        pass
    assert (len(one), len(two), len(none)) == (1, 2, 0), (one, two, none)
    assert keys(context) == {"B", "C", "E", "F"}


@committing
@each
def test_what_comes_next_sees_it_and_so_does_everybody_after_the_commit(context: str) -> None:
    with unit_of_work(context):
        send(context, "A", "B")
        assert keys(context) == {"A", "B"}
        RENAME[context].along(key="B", new="C")
        assert RECORDS[context].objects.filter(key="C").update(fingerprint="g") == 1
        send(context, "D")
    assert elsewhere(lambda: keys(context)) == {"A", "C", "D"}


@pytest.mark.parametrize("raised_by", ["a statement", "another cursor", "COMMIT"])
@committing
@each
def test_its_error_ends_the_unit(context: str, raised_by: str) -> None:
    with pytest.raises(IntegrityError), unit_of_work(context):
        send(context, "A")
        send(context, "warm 1")
        if raised_by == "a statement":
            RENAME[context](key="A", new="B")
        elif raised_by == "another cursor":
            with connections[context].cursor() as cursor:
                cursor.execute("SELECT 1")
    with unit_of_work(context):
        assert keys(context) == set()
        send(context, "C")
    assert elsewhere(lambda: keys(context)) == {"C"}


@committing
@each
def test_a_unit_that_fails_leaves_nothing_behind(context: str) -> None:
    with suppress(ZeroDivisionError), unit_of_work(context):
        send(context, "A")
        raise ZeroDivisionError
    with suppress(ZeroDivisionError), unit_of_work(context):
        with suppress(ValueError), unit_of_work(context):
            send(context, "B")
            raise ValueError
        send(context, "C")
        raise ZeroDivisionError
    with unit_of_work(context):
        with suppress(ValueError), unit_of_work(context):
            send(context, "D")
            raise ValueError
        send(context, "E")
    with statement_by_itself(context):
        send(context, "F")
    assert elsewhere(lambda: keys(context)) == {"E", "F"}


@ON_SERVERS
@committing
@pytest.mark.parametrize("context", ["catalog"])
def test_a_unit_that_is_left_in_the_middle_leaves_nothing_to_who_gets_its_connection(context: str) -> None:
    told = copy.deepcopy(connections[context].settings_dict) | {"CONN_MAX_AGE": 0}
    told["OPTIONS"]["pool"] = {"min_size": 0, "max_size": 1}
    connection: Any = type(connections[context])(told, "pooled")
    try:
        connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {RECORDS[context]._meta.db_table}")  # noqa: S608
        assert RECORDS[context].objects.count() == 0
    finally:
        connection.close()
        connection.close_pool()


WHO = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
WAITS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE id = %s AND info IS NOT NULL",
}
KILL = {"postgresql": "SELECT pg_terminate_backend(%s)", "mysql": "KILL %s"}


@ON_SERVERS
@committing
@each
@pytest.mark.parametrize("asked_by", ["Django", "a statement"])
def test_a_unit_whose_connection_is_lost_within_a_packet_begins_anew(context: str, asked_by: str) -> None:
    vendor = connections[context].vendor
    who: Queue[int] = Queue()
    tries: list[int] = []

    def ask(text: str, *values: Any) -> int:
        with connections[context].cursor() as cursor:
            cursor.execute(text, values)
            return int(cursor.fetchone()[0])

    def rename() -> None:
        tries.append(1)
        if asked_by == "Django":
            RECORDS[context].objects.filter(key="warm 0").update(key="A")
        else:
            RENAME[context](key="warm 0", new="A")

    def work() -> None:
        who.put(ask(WHO[vendor]))
        run_in_unit_of_work(context, rename)

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work(context):
            assert RENAME[context](key="warm 0", new="warm 0") == 1  # whose row is locked now
            done = pool.submit(elsewhere, work)
            number = who.get(timeout=60)
            wait_until(lambda: ask(WAITS[vendor], number) == 1, 60, "it waits for the lock")
            with connections[context].cursor() as cursor:
                cursor.execute(KILL[vendor], [number])
            wait_until(lambda: len(tries) == 2 or done.done(), 60, "it begins anew")
        done.result(60)
    assert len(tries) == 2 and keys(context) == {"A"}


@committing
@each
def test_a_cursor_that_was_there_before_is_within_the_unit(context: str) -> None:
    table = RECORDS[context]._meta.db_table
    with connections[context].cursor() as cursor, suppress(ZeroDivisionError), unit_of_work(context):
        cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        raise ZeroDivisionError
    assert RECORDS[context].objects.count() == WARM_UP
