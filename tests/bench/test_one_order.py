"""Where a sample of the running process is put, and what is counted of the databases' logs."""

from __future__ import annotations

import pytest

from bench.one_order import Counted, of_mariadb, of_postgres, part_of
from bench.shop import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

_PACKAGES = "/x/site-packages"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (["/usr/lib/python3.11/json/encoder.py", f"{ROOT}/eci/http/envelope.py"], ("the request", "HTTP")),
        (
            [f"{_PACKAGES}/django/db/models/query.py", f"{ROOT}/contexts/inventory/services/holds.py"],
            ("inventory", "statements"),
        ),
        (
            [f"{_PACKAGES}/psycopg/cursor.py", f"{ROOT}/contexts/payments/x.py", f"{ROOT}/contexts/orders/x.py"],
            ("payments", "drivers"),
        ),
        ([f"{ROOT}/contexts/orders/domain.py"], ("orders", "its own")),
        ([f"{_PACKAGES}/idna/core.py"], ("the request", "other")),
        ([f"{ROOT}/eci/watch/logs.py", f"{ROOT}/contexts/orders/x.py"], ("orders", "watching")),
    ],
)
def test_innermost_context_and_layer(files: list[str], part: tuple[str, str]) -> None:
    assert part_of(iter(files)) == part


def test_statements_of_postgresql() -> None:
    log = (
        "inventory_db LOG:  statement: BEGIN\n"
        "inventory_db LOG:  execute _pg3_0: SELECT 1\n\tFROM inventory_stock\n"
        "inventory_db DETAIL:  parameters: $1 = '1'\n"
        "inventory_db LOG:  execute <unnamed>: UPDATE inventory_stock SET x = ': COMMIT'\n"
        "inventory_db LOG:  statement: COMMIT\n"
        "postgres LOG:  statement: SELECT pg_reload_conf()\n"
    )
    counted = Counted()
    counted.said += of_postgres(log, {"inventory_db": "inventory"})
    assert counted.sums()["inventory"] == {"statements": 2, "commits": 1}
    assert sum(sum(one.values()) for one in counted.sums().values()) == 3


def test_statements_of_mariadb_belong_to_their_connection() -> None:
    rows = [(1, "START TRANSACTION"), (2, "SET autocommit = 0"), (1, "INSERT INTO `orders_order` VALUES (1)")]
    rows += [(2, "BEGIN;INSERT INTO `shipping_shipment` VALUES ('1;2');COMMIT"), (1, "COMMIT"), (3, "SELECT 1")]
    counted = Counted()
    counted.said += of_mariadb(rows)
    assert counted.sums()["orders"] == counted.sums()["shipping"] == {"statements": 1, "commits": 1}
