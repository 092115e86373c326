"""Path converters. An id that is not a number, or too large to exist, matches no URL and so is a 404."""

from __future__ import annotations

from django.urls import register_converter


class IdConverter:
    regex = "[0-9]{1,15}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


class ReferenceConverter:
    """An order id, SKU or tracking number: one path segment of up to 64 printable characters."""

    regex = "[^/]{1,64}"

    def to_python(self, value: str) -> str:
        if not value.isprintable():
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(IdConverter, "id")
register_converter(ReferenceConverter, "ref")
