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
    with socket.create_connection(("127.0.0.1", product.port), timeout=30) as connection:
        connection.sendall(b"\r\n".join([line, b"Host: localhost", b"Connection: close", header, b"", b""]))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), head
    return Answer(int(head.split()[1]), json.loads(body), {})


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
