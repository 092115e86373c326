"""The same image as one process a container, on PostgreSQL, MariaDB and Redis."""

from __future__ import annotations

import secrets
import subprocess
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.deployment.connections import Process, connections
from tests.deployment.image.conftest import NewContainer, docker, new_customer, stock
from tests.support.load import Load
from tests.support.product import wait_until
from tools.servers import Servers

ADMIN = {"ECI_ADMIN_EMAIL": "root@shop.example", "ECI_ADMIN_PASSWORD": "a long enough secret"}


def shared_secrets() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"ECI_SECRET_KEY": secrets.token_urlsafe(50), "ECI_TOKEN_KEY": key.decode()}


def open_on_postgres(servers: Servers) -> int:
    import psycopg

    with psycopg.connect(servers.postgres.dsn("postgres")) as connection:
        counting = "SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL AND datname <> 'postgres'"
        row = connection.execute(counting).fetchone()
    assert row is not None
    return int(row[0])


def test_roles_on_servers_and_two_web_containers_replaced_under_load(container: NewContainer, servers: Servers) -> None:
    environment = servers.environment() | shared_secrets()
    migrate = container("migrate", **environment, **ADMIN)
    done = subprocess.run(["docker", *migrate.run], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    webs = [container("web", **environment) for _ in range(2)]
    others = [container(role, **environment) for role in ("worker", "beat")]
    for one in [*webs, *others]:
        one.start()
    for web in webs:
        web.wait_until_healthy()

    first = webs[0]
    staff = first.sign_in(ADMIN["ECI_ADMIN_EMAIL"], ADMIN["ECI_ADMIN_PASSWORD"])
    product = stock(first, staff, units=100_000)
    customer, own = new_customer(first)
    placed = webs[1].api.post("/v1/orders", {"items": [{"product_id": product, "quantity": 1}]}, **own)
    assert (placed.status, placed.data["status"]) == (201, "SHIPPED"), "a token of one is good at the other"
    notices = f"/v1/notifications?order_id={placed.data['order_id']}"
    wait_until(
        lambda: [one["status"] for one in first.api.get(notices, **staff).data] == ["SENT", "SENT"],
        60,
        "worker and beat have both notices sent",
    )

    order = {"customer_id": customer, "items": [{"product_id": product, "quantity": 1}]}
    most = 0
    with Load([web.url for web in webs], order, **staff) as load:
        for web in webs:
            load.more(20)
            most = max(most, open_on_postgres(servers))
            web.stop()
            web.start_again()
        load.more(20)
    assert set(load.outcomes) == {"201"}, load.outcomes
    assert len(first.api.everything("/v1/orders", **staff)) == len(load.placed) + 1

    allowed = connections(Process(role=role, environment=environment) for role in ("web", "web", "worker"))[
        urlsplit(servers.postgres.dsn("postgres")).netloc.rpartition("@")[2]
    ]
    print(f"\n{len(load.placed)} orders; {most} of at most {allowed} connections to PostgreSQL")
    assert 0 < most <= allowed
    for one in others:
        one.stop()
    assert "agree" in docker("exec", first.name, "python", "manage.py", "audit")
