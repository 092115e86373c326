"""Every answer and every log line has the request's id."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.test import Client

from contexts.payments.models import OutboxEvent
from eci.watch import logs, requests
from tests.support.api import Api
from tests.support.people import customer, staff

pytestmark = pytest.mark.any_engine


@pytest.mark.parametrize("given", ["abc", "a-b_c.D9", "x" * 64])
def test_a_sane_request_id_is_echoed(api: Api, given: str) -> None:
    assert api.get("/v1/products", **{"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "a/b", '"', "ü", "a;b"])
def test_another_is_replaced(api: Api, given: str) -> None:
    told = api.get("/v1/products", **{"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", told)


def test_every_request_has_an_id_of_its_own(api: Api) -> None:
    told = [api.get(url).headers["X-Request-ID"] for url in ("/v1/products", "/v1/products", "/v1/nothing", "/health")]
    assert len(set(told)) == 4


def test_the_id_stands_in_the_events_a_request_causes(api: Api) -> None:
    api.post("/v1/payments", {"order_id": "X", "amount": 5}, **{"X-Request-ID": "request-1"})
    rows = list(OutboxEvent.objects.values_list("trace", flat=True))
    assert rows
    assert all(trace == {"request_id": "request-1"} for trace in rows)
    assert requests.request_id() == ""


def test_one_log_line_is_written_for_a_request(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "eci.access"):
        Client().get("/v1/products/5?format=json", headers={"X-Request-ID": "request-1"})
    (record,) = [record for record in caplog.records if record.name == "eci.access"]
    line = record.msg
    assert isinstance(line, dict)
    assert (line["request_id"], line["method"], line["status"]) == ("request-1", "GET", 404)
    assert line["route"].endswith("products/<id:product_id>"), "the route, not the address"
    assert line["ms"] >= 0


def access_lines(caplog: pytest.LogCaptureFixture, call: Callable[[], object]) -> list[dict[str, Any]]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "eci.access"):
        call()
    return [record.msg for record in caplog.records if record.name == "eci.access" and isinstance(record.msg, dict)]


@pytest.mark.usefixtures("closed")
def test_the_log_line_has_the_caller_s_number_and_no_name(caplog: pytest.LogCaptureFixture) -> None:
    ann, helper = customer("ann@example.com"), staff("P")
    number = jwt.decode(helper.login["access"], options={"verify_signature": False})["sub"]
    browser = Client()
    boss = User.objects.create_superuser("boss@shop.example", "boss@shop.example", "a long enough secret")
    browser.force_login(boss)
    for call, caller in (
        (lambda: ann.get("/v1/users/me"), f"customer:{ann.customer_id}"),
        (lambda: helper.get("/v1/orders"), number),
        (lambda: browser.get("/admin/"), f"staff:{boss.pk}"),
        (lambda: browser.get("/v1/customers"), f"staff:{boss.pk}"),
        (lambda: Api().get("/v1/products"), None),
        (lambda: Api().get("/v1/orders"), None),
        (lambda: Client().get("/health"), None),
    ):
        (line,) = access_lines(caplog, call)
        assert line.get("caller") == caller
        assert "@" not in str(line)


def test_in_open_mode_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert access_lines(caplog, lambda: Api().get("/v1/customers"))[0]["caller"] == "open"


def test_log_lines_are_json() -> None:
    config = logs.logging_config()["formatters"]["json"]
    formatter = config["()"](**{name: value for name, value in config.items() if name != "()"})
    record = logging.LogRecord("some.package", logging.WARNING, "f.py", 1, "said %s", ("this",), None)
    line = json.loads(formatter.format(record))
    assert (line["event"], line["level"], line["logger"]) == ("said", "warning", "some.package")
