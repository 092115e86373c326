"""Bodies are parsed strictly: every bad one is a 400 in the envelope, never a 500."""

from __future__ import annotations

import gzip
import io
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from eci.http.parsers import MAX_DEPTH, JSONObjectParser
from tests.support.api import Api

pytestmark = pytest.mark.any_engine

GOOD = b'{"sku": "S", "name": "N", "price": %s}'


def parse(raw: bytes) -> dict[str, Any]:
    return JSONObjectParser().parse(io.BytesIO(raw))


def nested(depth: int) -> bytes:
    return b'{"a": ' + b"[" * depth + b"]" * depth + b"}"


BROKEN = {
    "cut off": b'{"sku": "S"',
    "trailing": b"{} {}",
    "single quotes": b"{'sku': 1}",
    "comma": b'{"a": 1,}',
    "array": b"[]",
    "string": b'"text"',
    "number": b"1",
    "null": b"null",
    "NaN": GOOD % b"NaN",
    "Infinity": GOOD % b"Infinity",
    "-Infinity": GOOD % b"-Infinity",
    "exponent": GOOD % b"1.0e99999999999999999999",
    "endless integer": GOOD % (b"9" * 5_000),
    "twice": b'{"amount": 5, "amount": 500}',
    "twice inside": b'{"items": [{"a": 1, "a": 1}]}',
    "twice, escaped": b'{"a": 1, "\\u0061": 2}',
    "surrogate twice": b'{"\\ud800": 1, "\\ud800": 1}',
    "NUL": b'{"sku": "a\\u0000b"}',
    "raw NUL": b'{"sku": "a\x00b"}',
    "NUL in a name": b'{"a\\u0000": 1}',
    "NUL inside": b'{"a": [{"b": "\\u0000"}]}',
    "high surrogate": b'{"sku": "\\ud800"}',
    "low surrogate": b'{"sku": "\\udfff"}',
    "surrogate in a name": b'{"\\ud800": 1}',
    "invalid UTF-8": b'{"sku": "\xff"}',
    "UTF-16": '{"sku": "S"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep": nested(MAX_DEPTH),
    "very deep": nested(100_000),
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_body_is_refused(api: Api, raw: bytes) -> None:
    with pytest.raises(ParseError):
        parse(raw)
    answer = api.post("/v1/products", raw)
    assert (answer.status, answer.code) == (400, "validation_error")
    assert answer.error
    assert api.get("/v1/products").data == []


def test_the_name_that_is_given_twice_is_named(api: Api) -> None:
    answer = api.post("/v1/payments", b'{"order_id": "X-1", "amount": 5, "amount": 500}')
    assert (answer.status, answer.error) == (400, 'The body gives "amount" twice in one object.')


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (BROKEN["byte order mark"], "The body begins with a byte order mark. Send it without."),
        (BROKEN["endless integer"], "The body is not valid JSON: a number is out of range"),
        (b'{"customer_id": 1, "items": {"product_id": 1}}', "items: Give a list."),
        (b'{"customer_id": 1, "items": [1]}', "items.0: Give an object."),
    ],
)
def test_what_is_wrong_is_said_without_python(api: Api, raw: bytes, told: str) -> None:
    answer = api.post("/v1/orders/quote", raw)
    assert (answer.status, answer.error) == (400, told)


@pytest.mark.parametrize(("charset", "status"), [("utf-8", 201), ('"UTF-8"', 201), ("bogus", 415), ("latin-1", 415)])
def test_json_is_in_utf_8(api: Api, charset: str, status: int) -> None:
    media_type = f"application/json; charset={charset}"
    assert api.post("/v1/products", GOOD % b"1", content_type=media_type).status == status


@pytest.mark.no_database
def test_what_is_understood() -> None:
    assert parse(b"") == parse(b" \n") == {}
    body = parse(
        '{"n": 1, "f": 1.10, "e": 1e2, "t": "ü😀", "b": true, "x": null, "l": [{"a": "\\ud83d\\ude00"}]}'.encode()
    )
    assert body == {
        "n": 1,
        "f": Decimal("1.10"),
        "e": Decimal(100),
        "t": "ü😀",
        "b": True,
        "x": None,
        "l": [{"a": "😀"}],
    }
    assert isinstance(body["f"], Decimal)
    assert str(body["f"]) == "1.10"
    assert parse(nested(MAX_DEPTH - 2))


@pytest.mark.no_database
@profile(max_examples=200)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_an_object_or_a_parse_error(raw: bytes) -> None:
    with suppress(ParseError):
        assert isinstance(parse(raw), dict)


def test_an_empty_body_lacks_its_fields(api: Api) -> None:
    answer = api.post("/v1/products")
    assert answer.status == 400
    assert {"sku", "name", "price"} <= set(answer.details)


@pytest.mark.parametrize("over", [0, 1])
def test_a_body_over_a_megabyte_is_refused(api: Api, over: int) -> None:
    body = b'{"sku": "S", "name": "N", "price": 1, "unknown": "%s"}'
    filler = settings.DATA_UPLOAD_MAX_MEMORY_SIZE - len(body % b"") + over
    answer = api.post("/v1/products", body % (b"x" * filler))
    assert answer.status == (413 if over else 201)
    if over:
        assert answer.code == "request_too_large"
        assert api.get("/v1/products").data == []


@pytest.mark.parametrize("media_type", ["text/json", "multipart/form-data; boundary=x", "application/x-ndjson", ""])
def test_other_media_types_are_refused(api: Api, media_type: str) -> None:
    answer = api.post("/v1/products", GOOD % b"1", content_type=media_type)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_is_json_however_it_is_written(api: Api, media_type: str) -> None:
    assert api.post("/v1/products", GOOD % b"1", content_type=media_type).status == 201


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-unknown", "gzip, identity"])
def test_a_compressed_body_is_refused_in_words(api: Api, encoding: str) -> None:
    answer = api.post("/v1/products", gzip.compress(GOOD % b"1"), **{"Content-Encoding": encoding})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert "compressed" in answer.error


def test_a_body_that_is_called_uncompressed(api: Api) -> None:
    assert api.post("/v1/products", GOOD % b"1", **{"Content-Encoding": "identity"}).status == 201
    assert api.get("/v1/products", **{"Content-Encoding": "gzip"}).status == 200, "there is no body"
