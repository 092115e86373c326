"""A streaming replica of PostgreSQL: what is read there, what never is, and what happens while it is away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import Product, wait_until
from tests.support.world import ON_SERVERS, ROOT, environment, prepare
from tools.servers import Postgres, free_ports

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.skipif(not ON_SERVERS, reason="runs with the servers' programs only"),
    pytest.mark.first(9),
]

ADMIN = {"ECI_ADMIN_EMAIL": "boss@example.com", "ECI_ADMIN_PASSWORD": "correct horse battery"}
DATABASES = {"ECI_CATALOG_DATABASE_URL": "catalog_db", "ECI_INVENTORY_DATABASE_URL": "inventory_db"}
_WHERE = """
import json, django
django.setup()
from django.db import router
from contexts.catalog.models import Product
from eci.db import in_unit_of_work, primaries, read_replica, unit_of_work

def where():
    alias = router.db_for_read(Product)
    Product.objects.first()
    return alias

def after_a_write():
    with unit_of_work("catalog"):
        Product.objects.update(category="tools")
    return where()

found = {
    "outside": where(),
    "on the replica": read_replica("catalog", where),
    "after a write": read_replica("catalog", after_a_write),
}
with unit_of_work("catalog"):
    found["in a unit of work"] = read_replica("catalog", where)
found["written on"] = read_replica("catalog", lambda: router.db_for_write(Product))
found["migrated and saved"] = sorted(alias for alias in primaries() if alias.endswith("_replica"))
print(json.dumps(found))
"""


def _connected(server: Postgres) -> Any:
    import psycopg  # not there without requirements-servers.txt

    return psycopg.connect(server.dsn("catalog_db"), autocommit=True)


@dataclass
class Pair:
    primary: Postgres
    replica: Postgres
    data_dir: Path  # everything else of the product, prepared

    def on_replica(self, statement: str) -> object:
        with _connected(self.replica) as connection:
            row = connection.execute(statement).fetchone()
        return row[0] if row else None

    def on_primary(self, statement: str) -> None:
        with _connected(self.primary) as connection:
            connection.execute(statement)

    def urls(self) -> dict[str, str]:
        return {variable: self.primary.dsn(name) for variable, name in DATABASES.items()} | {
            variable.replace("_DATABASE_", "_REPLICA_"): self.replica.dsn(name) for variable, name in DATABASES.items()
        }


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A primary with the demo shop's products, and a copy of it that streams."""
    folder = tmp_path_factory.mktemp("replicated")
    ports = free_ports(2)
    primary, replica = (
        Postgres(folder / name, port, "secret", False) for name, port in zip(("primary", "replica"), ports, strict=True)
    )
    try:
        primary.start()
        primary.create_databases(list(DATABASES.values()))
        there = {variable: primary.dsn(name) for variable, name in DATABASES.items()}
        prepare(environment(folder / "var", there), demo=True)
        replica.copy(primary)
        replica.start()
        yield Pair(primary, replica, folder / "var")
    finally:
        replica.stop()
        primary.stop()


@pytest.fixture
def product(pair: Pair, tmp_path: Path) -> Iterator[Product]:
    """Closed, for to staff everything is read from the primary."""
    data_dir = tmp_path / "var"
    shutil.copytree(pair.data_dir, data_dir)
    product = Product(data_dir, environment(data_dir, pair.urls(), **ADMIN, ECI_OPEN="0"))
    try:
        product.start()
        yield product
        product.stop()
    finally:
        product.clean_up()


def _staff(product: Product) -> dict[str, str]:
    login = {"email": ADMIN["ECI_ADMIN_EMAIL"], "password": ADMIN["ECI_ADMIN_PASSWORD"]}
    return {"Authorization": f"Bearer {product.api.post('/v1/staff/token', login).data['access']}"}


def _listed(product: Product, **headers: str) -> str:
    return str(product.api.get("/v1/products?ordering=name&limit=1", **headers).data[0]["name"])


def test_where_each_read_goes(pair: Pair, tmp_path: Path) -> None:
    world = environment(tmp_path / "var", pair.urls()) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", _WHERE], cwd=ROOT, env=world, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "outside": "catalog",
        "on the replica": "catalog_replica",
        "after a write": "catalog",
        "in a unit of work": "catalog",
        "written on": "catalog",
        "migrated and saved": [],
    }


def test_public_lists_come_from_the_replica_and_from_the_primary_while_it_is_away(pair: Pair, product: Product) -> None:
    name = _listed(product)
    staff = _staff(product)
    product_id = product.api.get("/v1/products?ordering=name&limit=1").data[0]["product_id"]

    pair.on_replica("SELECT pg_wal_replay_pause()")
    changed = product.api.patch(f"/v1/products/{product_id}", {"name": f"{name} II"}, **staff)
    assert changed.status == 200, changed.json
    assert _listed(product) == name
    assert _listed(product, **staff) == f"{name} II"
    assert product.api.get(f"/v1/products/{product_id}").data["name"] == f"{name} II"

    pair.on_replica("SELECT pg_wal_replay_resume()")
    wait_until(lambda: _listed(product) == f"{name} II", 60, "the replica follows")

    pair.replica.kill()
    assert [_listed(product) for _ in range(8)] == [f"{name} II"] * 8
    assert "replica_failed" in product.log.read_text()

    pair.replica.start()
    pair.on_replica("SELECT pg_wal_replay_pause()")
    pair.on_primary(f"UPDATE catalog_product SET name = '{name} III' WHERE id = {product_id}")
    wait_until(lambda: _listed(product) == f"{name} II", 60, "the replica is read again")
    pair.on_replica("SELECT pg_wal_replay_resume()")
