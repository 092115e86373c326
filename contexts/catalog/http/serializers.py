"""Catalog's input and output over HTTP."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from eci import text
from eci.http.exports import WholeList
from eci.http.fields import (
    AmountField,
    BarcodeField,
    CurrencyField,
    MetadataField,
    SkuField,
    StrictBooleanField,
    TextField,
    exact,
    minor_units,
)
from eci.http.paging import IdsField, OrderingField, QueryBooleanField, QuerySerializer, SkusField

MAX_WORDS = 10


class ProductIn(serializers.Serializer[Any]):
    sku = SkuField()
    name = TextField(max_length=text.NAME)
    price = AmountField()
    currency = CurrencyField(required=False, help_text="Another currency needs its own price.")
    category = TextField(max_length=text.CATEGORY, allow_blank=True, required=False)
    description = TextField(max_length=text.DESCRIPTION, lines=True, allow_blank=True, required=False)
    is_active = StrictBooleanField(required=False)
    barcode = BarcodeField(required=False, allow_null=True)
    metadata = MetadataField(required=False, help_text="PATCH merges it, and null removes a name; PUT replaces it.")


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
    category = TextField(required=False, max_length=text.CATEGORY)
    has_category = QueryBooleanField(required=False, help_text="`false`: products that are in none.")
    is_active = QueryBooleanField(required=False)
    barcode = BarcodeField(required=False)
    product_ids = IdsField(required=False)
    skus = SkusField(required=False)


class ProductExportQuery(WholeList, ProductListQuery):
    """The same filters, for all rows."""


class ProductSearchQuery(ProductListQuery):
    name = TextField(required=False, max_length=text.NAME)
    currency = CurrencyField(required=False, help_text="Of the products, and of both bounds; with a bound the shop's.")
    min_price = AmountField(required=False)
    max_price = AmountField(required=False)
    q = TextField(required=False, max_length=200)
    facets = QueryBooleanField(required=False, help_text="Count categories and price bands, in `meta`.")

    def validate_q(self, query: str) -> str:
        if len(query.split()) > MAX_WORDS:
            raise serializers.ValidationError(f"A search has at most {MAX_WORDS} words.")
        return query

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Both bounds in minor units of one currency."""
        bounds = [name for name in ("min_price", "max_price") if name in attrs]
        if not bounds:
            return attrs
        currency = attrs.get("currency", settings.ECI_CURRENCY)
        found = attrs | {name: minor_units(attrs[name], currency, name) for name in bounds} | {"currency": currency}
        if len(bounds) == 2 and found["min_price"] > found["max_price"]:
            raise serializers.ValidationError({"min_price": ["min_price must not exceed max_price."]})
        return found


class ProductOut(serializers.Serializer[Any]):
    product_id = serializers.IntegerField()
    sku = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField()
    barcode = serializers.CharField(allow_null=True)
    price = serializers.CharField(help_text="With as many decimal places as its currency has, such as 1299.99.")
    lowest_price_30_days = serializers.CharField(help_text="The lowest price of the last 30 days, in `currency`.")
    currency = serializers.CharField()
    is_active = serializers.BooleanField()
    metadata = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PriceOut(serializers.Serializer[Any]):
    price = serializers.CharField()
    currency = serializers.CharField()
    old_price = serializers.CharField(allow_null=True, help_text="Null in a product's first.")
    old_currency = serializers.CharField(allow_null=True)
    actor = serializers.CharField()
    at = serializers.DateTimeField()


class CategoryOut(serializers.Serializer[Any]):
    category = serializers.CharField()
    product_count = serializers.IntegerField()
