"""Each alias holds its own tables, and aliases may share one database, whichever is migrated first."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from tests.support import world
from tests.support.process import python

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

PLATFORM = ("admin", "auth", "contenttypes", "sessions", "staff", "otp_totp", "otp_static")

_MIGRATE = """
import json, sys, django
from django.core.management import call_command
from django.db import connections
django.setup()
for alias in sys.argv[1:]:
    call_command("migrate", database=alias, verbosity=0)
    print(json.dumps(connections[alias].introspection.table_names()))
"""

_DUE = """
from config.operations.migrating import due
from eci.db import primaries
print(json.dumps([alias for alias in primaries() if due(alias)]))
"""

# Fewer migrations than in a process of everything, by the same rule.
ORDERS_AND_SHIPPING = {"ECI_SERVICES": "*=http://elsewhere:8000,orders=local,shipping=local"}

_PLACE_ORDER = """
import json, django
django.setup()
from django.test import Client
client = Client(SERVER_NAME="localhost")

def post(path, body):
    answer = client.post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code in (200, 201), (path, answer.content)
    return answer.json()["data"]

post("/v1/warehouses", {"code": "WH001", "name": "One"})
lamp = post("/v1/products", {"sku": "LAMP", "name": "Lamp", "price": "99.99"})["product_id"]
post("/v1/inventory", {"product_id": lamp, "warehouse": "WH001", "onhand": 3})
items = [{"product_id": lamp, "quantity": 2}]
print(json.dumps(post("/v1/orders", {"email": "ann@example.com", "items": items})))
"""


def migrate(folder: Path, *aliases: str, **env: str) -> list[set[str]]:
    """The tables there are after each."""
    run = python("-c", _MIGRATE, *aliases, folder=folder, **env)
    assert run.returncode == 0, run.stderr[-3000:]
    return [without_indexes(json.loads(line)) for line in run.stdout.splitlines()]


def tables(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    found = without_indexes(name for (name,) in rows)
    connection.close()
    return found


def without_indexes(names: Iterable[str]) -> set[str]:
    """Without those of search."""
    return {name for name in names if not name.startswith(("catalog_terms", "catalog_names"))}


def declared(*labels: str) -> set[str]:
    models = [model for label in labels for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    return {"django_migrations", *(model._meta.db_table for model in models)}


def place_order(folder: Path, **env: str) -> None:
    run = python("-c", _PLACE_ORDER, folder=folder, ECI_DEBUG="1", ECI_OPEN="1", ECI_LOG_LEVEL="CRITICAL", **env)
    assert run.returncode == 0, run.stderr[-3000:]
    order = json.loads(run.stdout.splitlines()[-1])
    assert (order["status"], order["payment_status"], len(order["shipments"])) == ("SHIPPED", "PAID", 1)


@pytest.fixture
def migrated(seed: world.Seed) -> Path:
    return seed.folder


def recorded(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT DISTINCT app FROM django_migrations").fetchall()
    connection.close()
    return {app for (app,) in rows}


def test_each_alias_holds_its_own_tables_and_migrations(migrated: Path) -> None:
    for context in settings.ECI_CONTEXTS:
        assert tables(migrated / f"{context}.sqlite3") == declared(context)
        assert recorded(migrated / f"{context}.sqlite3") == {context}
    assert tables(migrated / "platform.sqlite3") == declared(*PLATFORM)
    assert recorded(migrated / "platform.sqlite3") == set(PLATFORM)


def test_one_alias_is_migrated_by_the_plain_command_and_nothing_of_it_is_due_then(tmp_path: Path) -> None:
    run = python("manage.py", "migrate", "--database=orders", folder=tmp_path, **ORDERS_AND_SHIPPING)
    assert run.returncode == 0, run.stderr[-3000:]
    assert tables(tmp_path / "orders.sqlite3") == declared("orders")
    assert not (tmp_path / "shipping.sqlite3").exists()
    run = python("-c", _MIGRATE + _DUE, "default", folder=tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]
    assert tables(tmp_path / "platform.sqlite3") == declared(*PLATFORM)
    assert set(json.loads(run.stdout.splitlines()[-1])) == set(settings.ECI_CONTEXTS) - {"orders"}


@pytest.mark.parametrize(("first", "second"), [("orders", "shipping"), ("shipping", "orders")])
def test_shipping_may_share_the_database_of_orders(tmp_path: Path, migrated: Path, first: str, second: str) -> None:
    shared = {"ECI_SHIPPING_DATABASE_URL": f"sqlite:///{tmp_path}/orders.sqlite3"}
    both = declared("orders", "shipping")
    assert migrate(tmp_path, first, second, **shared, **ORDERS_AND_SHIPPING) == [both, both]
    assert tables(tmp_path / "orders.sqlite3") == both
    assert not (tmp_path / "shipping.sqlite3").exists()
    if first == "orders":  # however they came to be, they are the same tables
        for file in migrated.glob("*.sqlite3"):
            if file.stem not in ("orders", "shipping"):
                shutil.copy(file, tmp_path)
        place_order(tmp_path, **shared)
        assert not (tmp_path / "shipping.sqlite3").exists()


def test_all_contexts_may_share_one_database(tmp_path: Path) -> None:
    names = ["platform", *settings.ECI_CONTEXTS]
    shared = {f"ECI_{name.upper()}_DATABASE_URL": f"sqlite:///{tmp_path}/one.sqlite3" for name in names}
    migrate(tmp_path, "catalog", **shared)
    assert tables(tmp_path / "one.sqlite3") == declared(*settings.ECI_CONTEXTS, *PLATFORM)
    place_order(tmp_path, **shared)
