"""Each alias holds its own tables, and aliases may share one database, whichever is migrated first."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from tests.support.process import python

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

PLATFORM = ("admin", "auth", "contenttypes", "sessions", "staff", "otp_totp", "otp_static")

_MIGRATE = """
import sys, django
from django.core.management import call_command
django.setup()
for alias in sys.argv[1:]:
    call_command("migrate", database=alias, verbosity=0)
"""

_MIGRATE_ALL = """
import django
django.setup()
from config.operations.migrating import migrate_all
migrate_all(print)
"""

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


def migrate(folder: Path, *aliases: str, **env: str) -> None:
    run = python("-c", _MIGRATE, *aliases, folder=folder, **env)
    assert run.returncode == 0, run.stderr[-3000:]


def tables(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    found = {name for (name,) in rows if not name.startswith(("catalog_terms", "catalog_names"))}  # indexes of search
    connection.close()
    return found


def declared(*labels: str) -> set[str]:
    models = [model for label in labels for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    return {"django_migrations", *(model._meta.db_table for model in models)}


def place_order(folder: Path, **env: str) -> None:
    run = python("-c", _PLACE_ORDER, folder=folder, ECI_DEBUG="1", ECI_OPEN="1", ECI_LOG_LEVEL="CRITICAL", **env)
    assert run.returncode == 0, run.stderr[-3000:]
    order = json.loads(run.stdout.splitlines()[-1])
    assert (order["status"], order["payment_status"], len(order["shipments"])) == ("SHIPPED", "PAID", 1)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    run = python("-c", _MIGRATE_ALL, folder=folder)
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


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


def test_it_makes_no_difference_which_command_migrated(tmp_path: Path) -> None:
    migrate(tmp_path, "default", "orders")
    assert tables(tmp_path / "orders.sqlite3") == declared("orders")
    assert tables(tmp_path / "platform.sqlite3") == declared(*PLATFORM)
    run = python("-c", _MIGRATE_ALL, folder=tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]
    prepared = set(re.findall(r"Preparing the (\w+) database", run.stdout))
    assert prepared == set(settings.ECI_CONTEXTS) - {"orders"}


def test_one_alias_is_migrated_by_the_plain_command(tmp_path: Path) -> None:
    run = python("manage.py", "migrate", "--database=shipping", folder=tmp_path)
    assert run.returncode == 0, run.stderr[-3000:]
    assert tables(tmp_path / "shipping.sqlite3") == declared("shipping")
    assert not (tmp_path / "orders.sqlite3").exists()


@pytest.mark.parametrize(("first", "second"), [("orders", "shipping"), ("shipping", "orders")])
def test_shipping_may_share_the_database_of_orders(tmp_path: Path, migrated: Path, first: str, second: str) -> None:
    shared = {"ECI_SHIPPING_DATABASE_URL": f"sqlite:///{tmp_path}/orders.sqlite3"}
    both = declared("orders", "shipping")
    migrate(tmp_path, first, **shared)
    assert tables(tmp_path / "orders.sqlite3") == both
    migrate(tmp_path, second, **shared)
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
