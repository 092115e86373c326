"""The gateway's nginx, in front of servers that stand in for the deployments."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from config.contexts import CONTEXTS
from config.operations.gateway import TEMPORARY, configuration, files
from tests.support.elsewhere import DROP, Elsewhere
from tests.support.product import free_port, wait_until
from tests.support.programs import nginx
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


class Gateway:
    def __init__(self, folder: Path, *, behind: str = "") -> None:
        self.behind = {name: Elsewhere() for name in CONTEXTS}
        port = free_port()
        places = {name: server.url.removeprefix("http://") for name, server in self.behind.items()}
        file = folder / "nginx.conf"
        folders = {f"{kind}_temp_path": f"{folder}/{kind}" for kind in TEMPORARY}
        own = {"daemon": "off", "master_process": "off", "pid": f"{folder}/pid", "error_log": f"{folder}/log"}
        self.second = Elsewhere()  # of payments there are two processes
        two = " ".join(
            f"server {one.url.removeprefix('http://')} max_fails=0;" for one in (self.behind["payments"], self.second)
        )
        text = configuration(
            places | {"payments": "two"}, {f"127.0.0.1:{port}": None}, behind=behind, main=own, http=folders
        )
        file.write_text(text.replace("http {", f"http {{ upstream two {{ {two} }}", 1))
        self.process = subprocess.Popen([nginx(), "-e", f"{folder}/log", "-p", f"{folder}/", "-c", str(file)])
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, trust_env=False)
        wait_until(self._is_open, 60, f"nginx listens; see {folder}/log")

    def _is_open(self) -> bool:
        try:
            return self.http.get("/metrics").status_code == 404
        except httpx.TransportError:
            return False

    def reached(self) -> dict[str, list[str]]:
        """The paths that each context was asked for, once."""
        self.behind["payments"].requests += self.second.requests
        self.second.requests.clear()
        found = {name: [path for path, _, _ in server.requests] for name, server in self.behind.items()}
        for server in self.behind.values():
            server.requests.clear()
        return {name: paths for name, paths in found.items() if paths}

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(60)
        for server in (*self.behind.values(), self.second):
            server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("gateway"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    for server in (*running.behind.values(), running.second):
        server.replies = [(200, b"[]")]
    running.reached()
    return running


def test_the_repository_s_files_are_made_of_the_table() -> None:
    for path, text in files().items():
        assert (ROOT / path).read_text() == text, f"{path}: run manage.py gateway"


def test_every_path_leads_to_its_context_as_it_was_written(gateway: Gateway) -> None:
    for name, context in CONTEXTS.items():
        for path in context.paths:
            for asked in (f"/v1/{path}", f"/v1/{path}/7%2F8?limit=2", f"/api/v1/{name}/v1/{path}"):
                assert gateway.http.get(asked).status_code == 200
                assert gateway.reached() == {name: [asked]}
        gateway.http.get(f"/health/{name}")
        assert gateway.reached() == {name: [f"/health/{name}"]}
    gateway.http.get("/.well-known/jwks.json")
    assert gateway.reached() == {"customers": ["/.well-known/jwks.json"]}
    for path, inside in {"/health": "/health/all", "/v1/health": "/health/all", "/schema": "/schema/all"}.items():
        gateway.http.get(path)
        assert gateway.reached() == {"orders": [inside]}, path
    for path in ("/", "/docs", "/admin/", "/static/a.css", "/v1/productsandmore"):
        gateway.http.get(path)
        assert gateway.reached() == {"orders": [path]}


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/orders", "/internal/v1/orders/place", "//internal", "/%69nternal"]
)
def test_what_is_for_other_processes_is_not_there(gateway: Gateway, path: str) -> None:
    for method in ("GET", "POST"):
        answer = gateway.http.request(method, f"{gateway.url}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.json()["error"] == "There is nothing at this address.", "as of any address"
    assert gateway.reached() == {}


_LINE = b"GET /v1/products HTTP/1.1\r\nHost: shop\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"G(T / HTTP/1.1\r\n\r\n", 400, "validation_error"),
        (b"GET /v1/products HTTP/1.1\r\n\r\n", 400, "validation_error"),
        (b"GET /v1/products%00 HTTP/1.1\r\nHost: shop\r\n\r\n", 400, "validation_error"),
        (b"GET /v1/products HTTP/9.9\r\nHost: shop\r\n\r\n", 400, "validation_error"),
        (_LINE + b"Host: other\r\n\r\n", 400, "validation_error"),
        (_LINE + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "validation_error"),
        (_LINE + b"Transfer-Encoding: xchunked\r\n\r\n", 501, "validation_error"),
        (_LINE.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\nno\r\n", 400, "validation_error"),
        (_LINE.replace(b"GET", b"TRACE") + b"\r\n", 405, "method_not_allowed"),
        (_LINE + b"Content-Length: 2000000\r\n\r\n", 413, "request_too_large"),
        (_LINE.replace(b"products", b"x" * 40_000) + b"\r\n", 414, "request_too_large"),
        (_LINE + b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n", 431, "request_too_large"),
        (b"GET /nginx/refused HTTP/1.1\r\nHost: shop\r\n\r\n", 404, "not_found"),
    ],
)
def test_what_it_refuses_itself_has_a_sentence_and_a_code(
    gateway: Gateway, sent: bytes, status: int, code: str
) -> None:
    with _connected(gateway) as connection:
        connection.sendall(sent)
        refused = _answer(connection)
    assert (refused.status_code, refused.json()["status"], refused.json()["code"]) == (status, "error", code)
    assert refused.json()["error"].endswith(".")
    assert gateway.reached() == {}


def test_more_connections_than_an_address_may_have_are_told_to_come_again(gateway: Gateway) -> None:
    with ExitStack() as stack:

        def begin(count: int) -> None:
            for _ in range(count):
                begun = b"POST /v1/orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\n{"
                stack.enter_context(_connected(gateway)).sendall(begun)

        def one_more() -> httpx.Response:
            begin(1)  # again and again: one that is itself refused, while others are just ending, is not held
            return gateway.http.get("/v1/orders")

        begin(250)
        wait_until(lambda: one_more().status_code == 429, 60, "one is too many")
        refused = one_more()
        assert (refused.json()["code"], refused.headers["Retry-After"]) == ("throttled", "2")
    wait_until(lambda: gateway.http.get("/v1/orders").status_code == 200, 60, "and taken when they have gone")


def _connected(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.http.base_url.port or 0), timeout=60)


def _answer(connection: socket.socket) -> httpx.Response:
    head = http.client.HTTPResponse(connection)
    head.begin()
    return httpx.Response(head.status, headers=head.getheaders(), content=head.read())


@pytest.mark.parametrize("path", ["/api/v1/catalog", "/api/v1/catalogs/v1/products", "/v1/products"])
def test_no_address_is_led_to_where_the_caller_says(gateway: Gateway, path: str) -> None:
    """nginx by itself redirects a folder without its slash, to whatever host the request names."""
    answer = gateway.http.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 200 and gateway.reached()


def test_who_asks_is_said_by_the_gateway_alone(gateway: Gateway) -> None:
    said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "shop"}
    gateway.http.get("/v1/orders", headers=said)
    ((_, headers, _),) = gateway.behind["orders"].requests
    assert (headers["X-Forwarded-For"], headers["X-Forwarded-Proto"], headers["Host"]) == ("127.0.0.1", "http", "shop")


def test_behind_a_proxy_its_word_is_passed_on(tmp_path: Path) -> None:
    said = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Forwarded-Proto": "https"}
    for network, passed in (("127.0.0.0/8", ("203.0.113.9", "https")), ("10.244.0.0/16", ("127.0.0.1", "http"))):
        folder = tmp_path / passed[1]
        folder.mkdir()
        made = Gateway(folder, behind=network)
        try:
            made.http.get("/v1/orders", headers=said)
            ((_, headers, _),) = made.behind["orders"].requests
            assert (headers["X-Forwarded-For"], headers["X-Forwarded-Proto"]) == passed
        finally:
            made.stop()


def test_a_post_that_gets_no_answer_is_not_sent_again(gateway: Gateway) -> None:
    """Whether it was done is for the client to find out: with a 503 it would believe that nothing was. With a key it
    may believe so, for it may send it again."""
    both = (gateway.behind["payments"], gateway.second)
    for server in both:
        server.replies = [DROP]
    answer = gateway.http.post("/v1/payments", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (502, "no_answer")
    assert answer.json()["details"] == {"context": "payments"}
    assert "may have been done" in answer.json()["error"]
    assert sum(len(server.requests) for server in both) == 1
    for server in both:
        server.requests.clear()
    keyed = gateway.http.post("/v1/payments", content=b"{}", headers={"Idempotency-Key": "order-7"})
    assert (keyed.status_code, keyed.json()["code"]) == (503, "context_unavailable")
    assert keyed.headers["Retry-After"] and keyed.json()["details"] == {"context": "payments"}
    assert sum(len(server.requests) for server in both) == 1
    for server in both:
        server.requests.clear()
    read = gateway.http.get("/v1/payments")
    assert sum(len(server.requests) for server in both) == 2, "a read may be asked of both"
    assert (read.status_code, read.json()["code"]) == (503, "context_unavailable"), "and it has done nothing"


def test_a_context_that_is_away_is_named(tmp_path: Path) -> None:
    made = Gateway(tmp_path)
    try:
        made.behind["orders"].stop()
        answer = made.http.post("/v1/orders", content=b"{}")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        body = answer.json()
        assert (body["code"], body["details"]) == ("context_unavailable", {"context": "orders"})
        assert body["error"] == "The orders service cannot be reached at the moment. Please try again."
        assert made.http.get("/v1/products").status_code == 200
        made.reached()
        made.behind["catalog"].replies = [(200, json.dumps({"status": "degraded"}).encode())]
        assert made.http.get("/health").json() == {"status": "degraded"}
        assert made.reached() == {"catalog": ["/health/all"]}, "the health of all is asked of another"
        made.behind["catalog"].stop()
        assert made.http.get("/health").json()["code"] == "context_unavailable"
    finally:
        for name in ("orders", "catalog"):
            made.behind.pop(name)
        made.stop()
