"""Logs and traces of a whole run, with people, addresses and secrets planted wherever the product takes anything."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.support.collector import Collector, collecting
from tests.support.product import HttpApi, Product, Running, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

PERSON = "Zebulon Quartermain"
EMAIL = "zebulon.q@canary.example"
STREET = "77 Heliotrope Crescent"
PASSWORD = "opal-walrus-tambourine"
CARD = "4111111111111111"
TOKEN = "tok_canary_marigold"
PHONE = "+15550199777"
PLANTED = [PERSON, EMAIL, "canary.example", STREET, PASSWORD, CARD, TOKEN, PHONE]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def test_no_log_line_and_no_span_names_anybody_or_tells_a_secret(own_product: Running, collector: Collector) -> None:
    chief = {"ECI_ADMIN_EMAIL": "chief@canary.example", "ECI_ADMIN_PASSWORD": PASSWORD}
    soon = {"OTEL_BSP_SCHEDULE_DELAY": "1000"}
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "ECI_TRACE_SQL": "1"} | soon
    with own_product(ECI_OPEN="0", **chief, **traced) as product:
        api = product.api
        person = {"email": EMAIL, "full_name": PERSON, "password": PASSWORD, "phone": PHONE}
        assert api.post("/v1/users/register", person).status == 201
        assert api.post("/v1/users/register", person).status == 409
        tokens = api.post("/v1/users/login", {"email": EMAIL, "password": PASSWORD}).data
        secrets = [tokens["access"], tokens["refresh"]]
        mine = {"Authorization": f"Bearer {tokens['access']}"}
        buy(api, mine)
        misuse(product, mine)
        tokens = api.post("/v1/users/token/refresh", {"refresh": tokens["refresh"]}).data
        secrets += [tokens["access"], tokens["refresh"]]
        api.post("/v1/users/password/reset", {"email": EMAIL})
        httpx.post(f"{product.url}/admin/login/", data={"username": EMAIL, "password": PASSWORD}, trust_env=False)
        wait_until(lambda: mailed(product), 60, "the mails")
        wait_until(lambda: {"send e-mail", "POST v1/users/register"} <= {s.name for s in collector.spans}, 60, "spans")
    log = product.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"eci.access", "contexts.notifications.workflows"} <= {line["logger"] for line in lines}
    assert [word for word in [*PLANTED, *secrets] if word in log] == []
    assert any("db.query.text" in span.attributes for span in collector.spans)
    assert [word for word in [*PLANTED, *secrets] if word.encode() in collector.received] == []


def buy(api: HttpApi, mine: dict[str, str]) -> None:
    product_id = api.get("/v1/products").data[0]["product_id"]
    address = {"name": PERSON, "line1": STREET, "city": "Town", "phone": PHONE}
    order = {"items": [{"product_id": product_id, "quantity": 1}], "shipping_address": address}
    assert api.post("/v1/orders", order, **mine).status == 201
    assert api.post("/v1/orders", order | {"payment": {"token": CARD}}, **mine).status == 400
    assert api.post("/v1/orders", order | {"payment": {"token": TOKEN}}, **mine).status == 402, "unknown to the sandbox"


def misuse(product: Product, mine: dict[str, str]) -> None:
    """What goes wrong on the way: in paths, queries, headers, bodies that are none, and below HTTP."""
    api = product.api
    for path in (
        f"/v1/{EMAIL}",
        f"/v1/products?q={EMAIL}",
        f"/v1/orders/{CARD}",
        f"/{PASSWORD}",
        f"/v1/products/sku/{EMAIL}",
    ):
        assert api.page(path, **mine).status_code >= 400
    assert api.send("POST", "/v1/orders", f'{{"email": "{EMAIL}", '.encode(), **mine).status == 400
    assert api.get("/v1/orders", Authorization=f"Bearer {PASSWORD}").status == 401
    assert api.post("/v1/users/login", {"email": EMAIL, "password": f"{PASSWORD}-wrong"}).status == 401
    with suppress(httpx.HTTPError):
        api.page("/v1/products", **{"X-Request-ID": EMAIL})
        api.page("/v1/products", Host=f"{PASSWORD}.canary.example")

    with socket.create_connection(("127.0.0.1", product.port)) as raw:
        raw.sendall(f"NONSENSE {EMAIL} {PASSWORD}\r\n\r\n".encode())
        raw.recv(1000)


def mailed(product: Product) -> bool:
    folder = product.data_dir / "mail"
    mails = "".join(path.read_text() for path in folder.iterdir()) if folder.exists() else ""
    return all(word in mails for word in ("order", "password"))
