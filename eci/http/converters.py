"""Path converters: an id that isn't a number, or is too large to exist, matches no URL and so is a 404."""

from __future__ import annotations

from django.urls import register_converter


class IdConverter:
    regex = "[0-9]{1,15}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


class ReferenceConverter:
    """An order id, SKU or tracking number: any text of one path segment, bounded."""

    regex = "[^/]{1,64}"

    def to_python(self, value: str) -> str:
        if not value.isprintable():
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(IdConverter, "id")
register_converter(ReferenceConverter, "ref")
