"""Only fields on the list reach the log."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest

from eci.watch import logs, tracing
from eci.watch.logs import logging_config, scrubbed
from tools.servers import free_ports

pytestmark = pytest.mark.no_database


def written(record: logging.LogRecord) -> Any:
    config = logging_config()["formatters"]["json"]
    formatter = config["()"](**{name: value for name, value in config.items() if name != "()"})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.emit(record)
    return json.loads(stream.getvalue())


def record(name: str, message: str, *args: Any, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord(
        name, logging.ERROR, "f.py", 1, message, args, more.pop("exc_info", None), more.pop("func", None)
    )
    for field, value in more.items():
        setattr(made, field, value)
    return made


def test_a_field_that_is_not_on_the_list_is_dropped() -> None:
    line = written(record("eci.x", "happened", order_id="ORD-1", email="ann@example.com", status_code=500))
    assert line["order_id"] == "ORD-1"
    assert {"email", "status_code"}.isdisjoint(line)


def test_a_line_names_the_span_it_was_written_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    tracing.start("test")
    with tracing.continued(f"00-{'a' * 32}-{'c' * 16}-00", "here"):
        parent = tracing.traceparent().split("-")
        line = written(record("eci.x", "happened"))
    tracing.stop()
    assert [line["trace_id"], line["span_id"]] == parent[1:3]
    assert {"trace_id", "span_id"}.isdisjoint(written(record("eci.x", "happened")))


def test_of_a_library_only_the_constant_part_is_written() -> None:
    assert written(record("django.request", "Internal Server Error: %s", "/v1/reset/abc"))["event"] == (
        "Internal Server Error"
    )
    assert written(record("gunicorn.error", "Invalid request from ip=127.0.0.1: GET /?token=abc"))["event"] == (
        "Invalid request from ip"
    )
    assert written(record("eci.db", "said %s", "this"))["event"] == "said this"


@pytest.mark.parametrize(
    ("message", "args"),
    [("%s", ("ann@x",)), ("%s: %s", ("Not Found", "/v1/x")), ("%(who)s", ({"who": "Ann"},)), ("%s", ()), ("{who}", ())],
)
def test_a_message_that_is_all_values_is_named_by_its_place(message: str, args: tuple[Any, ...]) -> None:
    assert written(record("django.request", message, *args, func="log_response"))["event"] == "f.log_response"


def test_an_exception_as_a_message_is_named_by_its_place() -> None:
    made = record("urllib3.retry", "", func="connect")
    made.msg = ValueError("12 Acacia Avenue")  # as logger.error(error) does
    assert written(made)["event"] == "f.connect"
    assert written(record("urllib3.retry", "Retry in %d s for %s", 5, "Ann"))["event"] == "Retry in"


def test_an_exception_tells_its_kind_and_place_and_not_its_message() -> None:
    try:
        try:
            raise ValueError("ann@example.com")
        except ValueError as cause:
            raise ConnectionRefusedError(111, "12 Acacia Avenue") from cause
    except ConnectionRefusedError:
        line = written(record("eci.x", "failed", exc_info=sys.exc_info()))
    told = "\n".join(line["exception"])
    assert "ConnectionRefusedError (111)" in told
    assert "ValueError" in told
    assert "test_logs.py" in told
    assert "ann@" not in told
    assert "Acacia" not in told


@pytest.mark.parametrize(
    "secret",
    [
        "ann.smith+tag@example.co.uk",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjdXN0b21lcjo1In0.c2ln",
        "Bearer abcdef",
        "4111 1111 1111 1111",
        "4111111111111111",
    ],
)
def test_the_rest_is_searched_for_what_must_not_be_there(secret: str) -> None:
    clean = scrubbed(f"x {secret}, y")
    assert secret not in clean
    assert clean.startswith("x [")
    assert clean.endswith(", y")


@pytest.mark.parametrize(
    "kept", ["ORD-01JQXYZABC", "2026-11-22T19:27:02Z", "request 0f4c2b1d9e", "took 12.5 ms at 10:30"]
)
def test_what_logs_are_for_is_left_alone(kept: str) -> None:
    assert scrubbed(kept) == kept


def test_what_libraries_say_of_one_request_without_its_id_is_no_line() -> None:
    def line(name: str, message: str, failure: Any = None) -> bool:
        return logs.is_worth_a_line(logging.LogRecord(name, logging.ERROR, "", 0, message, (), failure))

    assert not line("django.request", "%s: %s")
    assert not line("gunicorn.error", "Invalid request from ip=127.0.0.1: Invalid HTTP Version: 'x'")
    assert line("gunicorn.error", "Worker exiting")
    assert line("django.request", "%s: %s", (ValueError, ValueError(), None))
