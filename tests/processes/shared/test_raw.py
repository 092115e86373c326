"""Requests that no HTTP client sends: answered in the envelope, also where none of our code sees them."""

from __future__ import annotations

import json
import socket

import pytest

from tests.support.api import Answer
from tests.support.product import Product, require_envelope

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]

LATIN = "ü".encode("latin-1")
LINES = {
    "UTF-8 in the query": ("GET /v1/products/search?q=Größe HTTP/1.1".encode(), 400),
    "UTF-8 in the path": ("GET /v1/products/sku/Größe HTTP/1.1".encode(), 400),
    "Latin-1 in the query": (b"GET /v1/products/search?q=" + LATIN + b" HTTP/1.1", 400),
    "a space in the query": (b"GET /v1/products/search?q=a b HTTP/1.1", 400),
    "no path": (b"GET HTTP/1.1", 400),
    "a method of no method's form": (b"G(T /v1/products HTTP/1.1", 400),
    "a version of no version's form": (b"GET /v1/products HTTP/9.9", 400),
    "a URL without end": (b"GET /v1/products/search?q=" + b"x" * 9_000 + b" HTTP/1.1", 414),
    "a percent sign alone": (b"GET /v1/products/sku/%zz HTTP/1.1", 404),
    "half a percent sign": (b"GET /v1/products/sku/100% HTTP/1.1", 404),
    "percent-encoded Latin-1": (b"GET /v1/products/sku/%FC HTTP/1.1", 404),
    "percent-encoded Latin-1, no view's": (b"GET /v1/%FC HTTP/1.1", 404),
    "percent-encoded UTF-8": (b"GET /v1/products/search?q=Gr%C3%B6%C3%9Fe HTTP/1.1", 200),
    "a percent sign alone in the query": (b"GET /v1/products/search?q=%zz HTTP/1.1", 200),
}
HEADERS = {
    "no name": (b": x", 400),
    "UTF-8 in a name": ("Größe: x".encode(), 400),
    "a length that is none": (b"Content-Length: five", 400),
    "two lengths": (b"Content-Length: 1\r\nContent-Length: 2", 400),
    "an unknown coding": (b"Transfer-Encoding: zip", 501),
    "an unknown expectation": (b"Expect: miracles", 417),
    "broken into lines": (b"X-A: b\r\n c", 400),
    "too long": (b"X-Long: " + b"x" * 20_000, 431),
    "UTF-8 in Accept": ("Accept: Größe".encode(), 200),
    "an empty Accept": (b"Accept:", 200),
}


TOLD = {
    "UTF-8 in the query": "percent-encoded",
    "Latin-1 in the query": "percent-encoded",
    "a space in the query": "The request line is malformed",
    "no path": "The request line is malformed",
    "a method of no method's form": "The method in the request line",
    "a version of no version's form": "HTTP version",
    "a URL without end": "URL is too long",
    "no name": "like Name: value",
    "UTF-8 in a name": "The name of a header",
    "a length that is none": "The header Content-Length is malformed",
    "two lengths": "The header Content-Length is malformed",
    "an unknown coding": "Transfer-Encoding",
    "an unknown expectation": "Expect header",
    "broken into lines": "on one line",
    "too long": "headers are too long",
}


def ask(product: Product, line: bytes, header: bytes = b"X: y") -> Answer:
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join([line, b"Host: localhost", b"Connection: close", header, b"", b""]))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), head
    return Answer(int(head.split()[1]), json.loads(body), {})


def test_a_site_whose_name_leads_to_this_machine_may_do_nothing(product: Product) -> None:
    """Open mode needs no credentials, so a page that somebody here looks at must not be taken for one of ours."""
    refused = product.api.get("/v1/products", Host="evil.example")
    assert (refused.status, refused.code) == (400, "validation_error")
    assert product.api.get("/v1/products", Host=f"localhost:{product.port}").status == 200


@pytest.mark.parametrize("what", LINES)
def test_a_request_line(product: Product, what: str) -> None:
    line, status = LINES[what]
    answer = ask(product, line)
    assert answer.status == status
    require_envelope(answer)
    assert TOLD.get(what, "") in (answer.json["error"] or "")


@pytest.mark.parametrize("what", HEADERS)
def test_a_header(product: Product, what: str) -> None:
    header, status = HEADERS[what]
    answer = ask(product, b"GET /v1/products HTTP/1.1", header)
    assert answer.status == status
    require_envelope(answer)
    assert TOLD.get(what, "") in (answer.json["error"] or "")


POST = b"POST /v1/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
ENDS = {
    "too large, and it waits to be asked for": (POST + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n", 413, ""),
    "too large": (POST + b"Content-Length: 1048577\r\n\r\n" + b" " * 1_048_577, 413, "too large"),
    "in chunks": (POST + b"Transfer-Encoding: chunked\r\n", 400, "Content-Length"),
    "a length of 20 digits": (POST + b"Content-Length: 99999999999999999999\r\n", 400, "Content-Length is malformed"),
    "no host": (b"GET /health/live HTTP/1.1\r\nX: y\r\n", 400, "Host"),
    "two keys": (
        POST + b"Idempotency-Key: a\r\nidempotency-key: b\r\n",
        400,
        "The header Idempotency-Key is there twice",
    ),
    "two tokens": (
        GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        400,
        "Authorization is there twice",
    ),
    "two lists of versions": (GET + b'If-Match: "1"\r\nIf-Match: "2"\r\nConnection: close\r\n', 200, ""),
    "two hosts": (GET + b"Host: localhost\r\n", 400, "Host"),
    "an end among options": (GET + b"Connection: keep-alive, close\r\n", 200, ""),
    "an old version, whatever it expects": (
        POST.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        400,
        "",
    ),
    "a newer version": (GET.replace(b"1.1", b"1.2") + b"Connection: close\r\n", 200, ""),
}


@pytest.mark.parametrize("what", ENDS)
def test_an_answer_after_which_the_connection_ends_says_so(product: Product, what: str) -> None:
    request, status, words = ENDS[what]
    with socket.create_connection(("127.0.0.1", product.port), timeout=60) as connection:
        connection.sendall(request if b"\r\n\r\n" in request else request + b"\r\n")
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.%d %d " % (0 if b"HTTP/1.0" in request else 1, status)), head
    assert b"connection: close" in head.lower()
    assert b"HTTP/1." not in body, "nothing before it, and one answer"
    assert words in (json.loads(body).get("error") or "")
