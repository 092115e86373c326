"""Catalog's input and output over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from rest_framework import serializers

from contexts.catalog import domain
from eci.http.fields import AmountField, CurrencyField, StrictBooleanField, TextField, exact
from eci.http.paging import OrderingField, QueryBooleanField, QuerySerializer

MAX_WORDS = 10


class SkuField(TextField):
    default_error_messages = {"unprintable": "A SKU has 1 to 64 printable characters."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 64, "trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and not (data.isprintable() and data.strip()):
            self.fail("unprintable")
        return super().to_internal_value(data)


class ProductIn(serializers.Serializer[Any]):
    sku = SkuField()
    name = TextField(max_length=200)
    price = AmountField()
    currency = CurrencyField(required=False)
    category = TextField(max_length=100, allow_blank=True, required=False)
    description = TextField(max_length=5000, allow_blank=True, required=False)
    is_active = StrictBooleanField(required=False)


class NewProductIn(ProductIn):
    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """``1.5`` and ``"1.50"`` are the same request."""
        currency = attrs.get("currency", settings.ECI_CURRENCY)
        return attrs | {"price": exact(attrs["price"], currency, "price")}


class ProductOrderingField(OrderingField):
    """The column to order by: names regardless of case, prices across currencies."""

    _COLUMNS = {"price": "price_thousandths", "name": "name_key"}

    def __init__(self) -> None:
        super().__init__("created_at", "price", "name")

    def to_internal_value(self, data: Any) -> str:
        chosen: str = super().to_internal_value(data)
        field = chosen.lstrip("-")
        return chosen.replace(field, self._COLUMNS.get(field, field))


class ProductListQuery(QuerySerializer):
    ordering = ProductOrderingField()
    category = serializers.CharField(required=False, max_length=100)
    is_active = QueryBooleanField(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """An empty parameter filters nothing, because search forms send all their fields."""
        given: dict[str, Any] = super().to_internal_value({name: text for name, text in data.items() if text != ""})
        return given


class ProductSearchQuery(ProductListQuery):
    name = serializers.CharField(required=False, max_length=200)
    min_price = AmountField(required=False)
    max_price = AmountField(required=False)
    q = serializers.CharField(required=False, max_length=200)

    def validate_min_price(self, amount: Decimal) -> int:
        return _thousandths(amount)

    def validate_max_price(self, amount: Decimal) -> int:
        return _thousandths(amount)

    def validate_q(self, query: str) -> str:
        if len(domain.words(query)) > MAX_WORDS:
            raise serializers.ValidationError(f"A search has at most {MAX_WORDS} words.")
        return query

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "min_price" in attrs and "max_price" in attrs and attrs["min_price"] > attrs["max_price"]:
            raise serializers.ValidationError({"min_price": ["min_price must not exceed max_price."]})
        return attrs


def _thousandths(amount: Decimal) -> int:
    try:
        return domain.thousandths(amount)
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None


class ProductOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    sku = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField()
    price = serializers.CharField(help_text="With as many decimal places as its currency has, such as 1299.99.")
    currency = serializers.CharField()
    is_active = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class CategoryOut(serializers.Serializer[Any]):
    category = serializers.CharField()
    product_count = serializers.IntegerField()
