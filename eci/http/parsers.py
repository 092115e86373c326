"""Request bodies: strict JSON objects. Numbers with a fraction become Decimal, never float."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

MAX_DEPTH = 20
_CHARSETS = ("utf-8", "utf8", "us-ascii")


class JSONObjectParser(BaseParser):
    """Limits a body's size and depth, and rejects text that databases cannot store."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        _require_utf8(media_type or "")
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise RequestDataTooBig
        if not raw.strip():
            return {}
        if raw.startswith(codecs.BOM_UTF8):
            raise ParseError("The body begins with a byte order mark. Send it without.")
        try:
            body = json.loads(
                raw.decode("utf-8"), parse_float=_decimal, parse_constant=_refuse, object_pairs_hook=_once
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not valid UTF-8.") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as error:
            if "int_max_str_digits" in str(error):
                raise ParseError("The body is not valid JSON: a number is out of range") from None
            raise ParseError(f"The body is not valid JSON: {error}"[:200]) from None
        if not isinstance(body, dict):
            raise ParseError("The body must be a JSON object.")
        _check(body, 1, has_escapes=b"\\u" in raw)
        return body


class FormDecoder(json.JSONDecoder):
    """Of JSON within a form: the same rules. ParseError."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, object_pairs_hook=_once)

    def decode(self, text: str, *args: Any) -> Any:
        try:
            found = super().decode(text, *args)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        _check(found, 1, has_escapes="\\u" in text)
        return found


def _require_utf8(media_type: str) -> None:
    _, parameters = parse_header_parameters(media_type) if ";" in media_type else ("", {})
    charset = parameters.get("charset", "utf-8")
    if charset.lower() not in _CHARSETS:
        raise UnsupportedMediaType(media_type, "JSON is sent in UTF-8.")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number is out of range") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of a name given twice, one value would be lost: which one did the client mean?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = json.dumps(names.most_common(1)[0][0])
        raise ParseError(f"The body gives {twice[:100]} twice in one object.")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _check(value: Any, depth: int, *, has_escapes: bool) -> None:
    """Reject deep nesting, and NUL and unpaired surrogates in any text, which databases refuse. JSON has these as
    escapes only."""
    if depth > MAX_DEPTH:
        raise ParseError("The body is nested too deeply.")
    if isinstance(value, str):
        if "\x00" in value:
            raise ParseError("Text must not contain NUL characters.")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError("Text must not contain unpaired surrogates.")
    elif isinstance(value, dict | list):
        parts = chain(value, value.values()) if isinstance(value, dict) else value
        for inner in parts:
            if has_escapes or depth == MAX_DEPTH or isinstance(inner, dict | list):
                _check(inner, depth + 1, has_escapes=has_escapes)
