"""Path converters. An id that is not a number, or too large to exist, matches no URL and so is a 404."""

from __future__ import annotations

from django.urls import register_converter

from eci import text


class IdConverter:
    regex = "[0-9]{1,15}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


class CodeConverter:
    """A SKU or warehouse code: up to 64 printable characters, once they are taken in. It may contain slashes."""

    regex = ".{1,300}"  # before NFC

    def to_python(self, value: str) -> str:
        return text.code(value, limit=64, name="A reference")

    def to_url(self, value: str) -> str:
        return value


class ReferenceConverter(CodeConverter):
    """An order id or tracking number: the same in one path segment."""

    regex = "[^/]{1,300}"


register_converter(IdConverter, "id")
register_converter(CodeConverter, "code")
register_converter(ReferenceConverter, "ref")
