"""Form fields of staff's pages: the same intake as the API's fields (``eci.text``)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from rest_framework import serializers

from eci import metadata, text
from eci.http import fields
from eci.http.cards import holds_card_number


class TextField(forms.CharField):
    """Text of at most ``max_length`` characters. ``lines`` allows line breaks, in a larger box."""

    def __init__(self, *, max_length: int, lines: bool = False, **kwargs: Any) -> None:
        self.lines = lines
        widget = {"widget": forms.Textarea} if lines else {}
        super().__init__(**{"max_length": max_length, "strip": False, **widget, **kwargs})

    def to_python(self, value: Any) -> str:
        given: str = super().to_python(value) or ""
        try:
            return self.intake(given)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None

    def intake(self, given: str) -> str:
        assert self.max_length is not None
        return text.clean(given, limit=self.max_length, lines=self.lines)


class CardlessTextField(TextField):
    """Text, but no card number."""

    def intake(self, given: str) -> str:
        clean = super().intake(given)
        if holds_card_number(clean):
            raise ValueError("Card numbers are never accepted.")
        return clean


class _OneRule(TextField):
    """A field whose rule is one function; an empty value is nobody's."""

    limit: int

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": self.limit, **kwargs})

    def intake(self, given: str) -> str:
        return self.rule(given) if text.trim(given) else ""

    def rule(self, given: str) -> str:
        raise NotImplementedError


class EmailField(_OneRule):
    limit = text.EMAIL
    widget = forms.EmailInput

    def rule(self, given: str) -> str:
        return text.email(given)


class PhoneField(_OneRule):
    limit = text.PHONE

    def rule(self, given: str) -> str:
        return text.phone(given)


class SkuField(_OneRule):
    limit = text.SKU

    def rule(self, given: str) -> str:
        return text.sku(given)


class WarehouseCodeField(_OneRule):
    limit = text.WAREHOUSE_CODE

    def rule(self, given: str) -> str:
        return text.warehouse_code(given)


class TrackingNumberField(_OneRule):
    limit = text.TRACKING_NO

    def rule(self, given: str) -> str:
        return text.tracking_no(given)


class BarcodeField(_OneRule):
    limit = text.BARCODE

    def rule(self, given: str) -> str:
        return text.barcode(given)


class MetadataField(forms.JSONField):
    """Metadata as a JSON object, the whole of it: what is not in it is removed."""

    widget = forms.Textarea(attrs={"rows": 3})

    def __init__(self, **kwargs: Any) -> None:
        about = 'Ids in other systems, as {"name": "value"}. What you take out is removed.'
        super().__init__(**{"required": False, "help_text": about, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return "" if value in (None, {}) else super().prepare_value(value)

    def to_python(self, value: Any) -> Any:
        given = super().to_python(value)
        try:
            return metadata.clean({} if given is None else given)
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None


class AmountField(forms.DecimalField):
    """An amount of money, as the API reads it. Its form compares it with its currency."""

    def __init__(self, *, allow_zero: bool = True, **kwargs: Any) -> None:
        self._intake = fields.AmountField(allow_zero=allow_zero)
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        if value in self.empty_values:
            return None
        try:
            self._intake.to_internal_value(value)
        except serializers.ValidationError as error:
            raise ValidationError(str(error.detail[0]), code="invalid") from None  # type: ignore[index]
        return Decimal(value)

    def validate(self, value: Any) -> None:
        forms.Field.validate(self, value)
