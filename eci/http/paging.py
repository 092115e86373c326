"""Pages over HTTP: from query parameters to a page, with links that hold signed cursors."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from eci.http.envelope import Page
from eci.http.fields import SkuField, StrictBooleanField
from eci.paging import Paging

_SALT = "eci.cursor"
_INTEGER = re.compile("-?[0-9]+")
_ID = re.compile("[0-9]{1,15}")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class QueryIntegerField(serializers.IntegerField):
    """Digits in a query string: no ``1.0``."""

    def to_internal_value(self, data: Any) -> int:
        if not _INTEGER.fullmatch(str(data)):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class QuerySerializer(serializers.Serializer[Any]):
    """The base of every list's query parameters."""

    limit = QueryIntegerField(min_value=1, max_value=100, default=20)
    cursor = serializers.CharField(required=False, max_length=1000)


class QueryBooleanField(StrictBooleanField):
    """``true`` or ``false``, in any case, or ``1`` or ``0``, in a query string."""

    def to_internal_value(self, data: Any) -> bool:
        return super().to_internal_value(_BOOLEANS.get(str(data).lower(), data))


def paging_of(query: dict[str, Any], *, path: str, default: str) -> Paging:
    """The page that a validated query asks for. A 400 for a cursor that is not this list's, or of another ordering."""
    order = query.get("ordering") or default
    if "cursor" not in query:
        return Paging(limit=query["limit"], order=order)
    try:
        direction, made_for, value, key = signing.loads(query["cursor"], salt=_SALT + path)
    except (signing.BadSignature, ValueError, TypeError):
        raise serializers.ValidationError({"cursor": ["This cursor is not valid for this list."]}) from None
    if made_for != order:
        raise serializers.ValidationError({"cursor": ["This cursor belongs to another ordering."]})
    if isinstance(value, dict):
        value = datetime.fromisoformat(value["at"])
    return Paging(limit=query["limit"], order=order, after=(value, key), backwards=direction == "previous")


def page(
    request: Request,
    paging: Paging,
    rows: list[Any],
    *,
    position: Callable[[Any], tuple[Any, Any]],
    present: Callable[[Any], dict[str, Any]],
) -> Page:
    """The answer, made of the rows that ``Paging.slice`` returned. ``position`` gives a row's (ordering value, pk)."""
    more = len(rows) > paging.limit
    rows = rows[: paging.limit]
    if paging.backwards:
        rows.reverse()
    has_next = more if not paging.backwards else True
    has_previous = more if paging.backwards else paging.after is not None
    kept = "".join(f"{urlencode({name: value})}&" for name, value in request.query_params.items() if name != "cursor")

    def url(direction: str, row: Any) -> str:
        value, key = position(row)
        if isinstance(value, datetime):
            value = {"at": value.isoformat()}
        cursor = signing.dumps([direction, paging.order, value, key], salt=_SALT + request.path)
        # The colon is all that has to be quoted of it, and urlencode looks at every sign.
        return request.build_absolute_uri(f"{request.path}?{kept}cursor={cursor.replace(':', '%3A')}")

    meta = {
        "limit": paging.limit,
        "next": url("next", rows[-1]) if rows and has_next else None,
        "previous": url("previous", rows[0]) if rows and has_previous else None,
    }
    return Page([present(row) for row in rows], meta)


MANY = 200  # things that a parameter may name at once


class IdsField(serializers.RegexField):
    """Up to 200 ids, with a comma between two. The first that is none is named."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = rf"^[0-9]{{1,15}}(,[0-9]{{1,15}}){{0,{MANY - 1}}}\Z"
        errors = {"invalid": f"Give up to {MANY} ids, with a comma between two."}
        super().__init__(pattern, **{"help_text": f"Up to {MANY} ids: 1,2,3", "error_messages": errors, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        given = super().to_internal_value(data)
        for word in given.split(","):
            if not _ID.fullmatch(word):
                raise serializers.ValidationError(
                    f"{word[:40]!r} is no id: an id has 1 to 15 digits, and nothing else."
                )
        return given

    def run_validation(self, data: Any = empty) -> Any:
        return [int(digits) for digits in super().run_validation(data).split(",")]


class SkusField(serializers.CharField):
    """Up to 200 SKUs, with a comma between two. One that has commas or quotes stands in double quotes, as in CSV."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"help_text": f"Up to {MANY} SKUs: LAMP,RUG", **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        try:
            rows = list(csv.reader([super().to_internal_value(data)], skipinitialspace=True))
        except csv.Error:  # lines within it
            raise serializers.ValidationError("Give SKUs with a comma between two.") from None
        skus = rows[0] if rows else []
        if not 0 < len(skus) <= MANY:
            raise serializers.ValidationError(f"Give 1 to {MANY} SKUs.")
        field = SkuField()
        return [field.run_validation(sku) for sku in skus]


class OrderingField(serializers.ChoiceField):
    """``?ordering=``: one of the fields, with ``-`` before it for descending."""

    def __init__(self, *fields: str) -> None:
        choices = [sign + field for field in fields for sign in ("", "-")]
        super().__init__(choices=choices, required=False)
