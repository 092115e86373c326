"""Strict serializer fields: a quantity is an integer and not ``true``, an amount is never a float."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation, localcontext
from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from eci import addresses, metadata, money, text

MAX_ID = 2**53  # every JSON reader can hold it; real ids are far smaller
MAX_QUANTITY = 1_000_000


def _say(kind: Any, error: str, words: str) -> None:
    """DRF's own sentence speaks of Python's types."""
    kind.default_error_messages = kind.default_error_messages | {error: words}


_say(serializers.ListField, "not_a_list", "Give a list.")
_say(serializers.ListSerializer, "not_a_list", "Give a list.")
_say(serializers.DictField, "not_a_dict", "Give an object.")
_say(serializers.Serializer, "invalid", "Give an object.")


class QuickSerializer(serializers.Serializer[Any]):
    """Most bodies are taken without DRF's machinery, by the same fields. Any other goes the usual way, which says why.

    For serializers whose fields stand for themselves: without a ``source``, and validators that look at several.
    """

    def run_validation(self, data: Any = empty) -> Any:
        if type(data) is dict and not self._is_partial:
            with suppress(serializers.ValidationError):
                return self._taken(data)
        return super().run_validation(data)

    def _taken(self, data: dict[str, Any]) -> dict[str, Any]:
        taken = {}
        for name, field in self._asked:
            if name in data:
                taken[name] = field.run_validation(data[name])
            elif field.required:
                raise serializers.ValidationError
            elif field.default is not empty:
                taken[name] = field.get_default()
        return taken

    @cached_property
    def _asked(self) -> list[tuple[str, serializers.Field[Any, Any, Any, Any]]]:
        return [(str(field.field_name), field) for field in self._writable_fields]

    @cached_property
    def _is_partial(self) -> bool:
        return bool(getattr(self.root, "partial", False))


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: no string, no boolean, no 2.0."""

    def run_validation(self, data: Any = empty) -> Any:
        low, high = self.min_value, self.max_value
        if type(data) is int and low is not None and high is not None and low <= data <= high:
            return data
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(data)


class QuantityField(StrictIntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": MAX_QUANTITY, **kwargs})


class IdField(StrictIntegerField):
    """An id in a body: a positive integer of at most ``MAX_ID``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 1, "max_value": MAX_ID, **kwargs})


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class TextField(serializers.CharField):
    """A JSON string, taken in as ``eci.text`` does. Numbers and booleans are refused.

    ``lines`` allows line breaks. With ``trim_whitespace=False`` the string is kept as it is: a secret, or a word that
    has a rule of its own.
    """

    def __init__(self, *, lines: bool = False, **kwargs: Any) -> None:
        self.lines = lines
        super().__init__(**kwargs)

    def run_validation(self, data: Any = empty) -> Any:
        """DRF calls more characters white space than Unicode does."""
        if isinstance(data, str) and self.trim_whitespace:
            if not text.trim(data):
                return super().run_validation("")
            return super(serializers.CharField, self).run_validation(data)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if not self.trim_whitespace:
            whole: str = super().to_internal_value(data)
            return whole
        try:
            return self.intake(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None

    def intake(self, given: str) -> str:
        return text.clean(given, limit=self.max_length or text.DESCRIPTION, lines=self.lines)


@extend_schema_field({"type": "string", "format": "email", "maxLength": text.EMAIL})
class EmailField(TextField):
    """An e-mail address, as it is stored."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.EMAIL, **kwargs})

    def intake(self, given: str) -> str:
        return text.email(given)


class PhoneField(TextField):
    """A phone number, as people write them; blank unless told otherwise."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.PHONE, "required": False, "allow_blank": True, **kwargs})

    def intake(self, given: str) -> str:
        return text.phone(given)


class SkuField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.SKU, **kwargs})

    def intake(self, given: str) -> str:
        return text.sku(given)


class WarehouseCodeField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.WAREHOUSE_CODE, **kwargs})

    def intake(self, given: str) -> str:
        return text.warehouse_code(given)


class BarcodeField(TextField):
    """ "" stands for a barcode that is null."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": text.BARCODE, **kwargs})

    def run_validation(self, data: Any = empty) -> Any:
        return "" if data is None and self.allow_null else super().run_validation(data)

    def intake(self, given: str) -> str:
        return text.barcode(given)


@extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "null"]}, "example": {"erp": "77"}})
class MetadataField(serializers.Field[Any, Any, Any, Any]):
    """Metadata as ``eci.metadata`` takes it in. It is merged into what is kept; null removes a name."""

    def to_internal_value(self, data: Any) -> dict[str, str | None]:
        try:
            return metadata.clean(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}], "example": "99.99"})
class AmountField(serializers.Field[Any, Any, Any, Any]):
    """An amount of money, as a number or a string of at most 12 digits. ``exact`` checks its decimal places later."""

    default_error_messages = {
        "invalid": "An amount must be a number, or a string holding one.",
        "digits": f"An amount has at most {money.MAX_DIGITS} digits.",
        "negative": "An amount must not be negative.",
        "zero": "An amount must be more than zero.",
    }

    def __init__(self, *, allow_zero: bool = True, **kwargs: Any) -> None:
        self.allow_zero = allow_zero
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, (int, str, Decimal)):
            self.fail("invalid")
        if isinstance(data, str) and not re.fullmatch(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", data):
            self.fail("invalid")
        try:
            amount = Decimal(data)
        except InvalidOperation:
            self.fail("invalid")
        if not amount.is_finite():
            self.fail("invalid")
        if amount < 0:
            self.fail("negative")
        if amount == 0 and not self.allow_zero:
            self.fail("zero")
        if len(amount.as_tuple().digits) > 40 or amount.adjusted() >= money.MAX_DIGITS or amount.adjusted() < -40:
            self.fail("digits")
        with localcontext(prec=100):
            return amount.normalize() if amount else Decimal(0)  # equal amounts make the same request

    def to_representation(self, value: Any) -> str:
        return str(value)


def minor_units(amount: Decimal, currency: str, field: str) -> int:
    """The amount in minor units. A 400 for ``field``: too many digits, or more decimal places than the currency has."""
    try:
        return money.to_minor(amount, currency)
    except ValueError as error:
        raise serializers.ValidationError({field: [str(error)]}) from None


def exact(amount: Decimal, currency: str, field: str) -> Decimal:
    """The amount with the currency's own decimal places. The same 400 as ``minor_units``."""
    return money.from_minor(minor_units(amount, currency, field), currency)


class CurrencyField(TextField):
    default_error_messages = {"unknown": "This is not an ISO 4217 currency code."}

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if not money.is_currency(code):
            self.fail("unknown")
        return code


@extend_schema_field({"oneOf": [{"type": "string", "maxLength": 64}, {"type": "integer"}], "example": "ORDER-123"})
class OrderIdField(serializers.Field[Any, Any, Any, Any]):
    """An order id, ours or another system's: 1 to 64 printable characters or an integer, kept as a string."""

    default_error_messages = {"invalid": "An order id is a string of 1 to 64 printable characters, or an integer."}

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, (str, int)):
            self.fail("invalid")
        try:
            return text.code(data if isinstance(data, str) else _digits(data), limit=64, name="An order id")
        except ValueError:
            return self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        return str(value)


def _digits(number: int) -> str:
    return str(number) if abs(number) < 10**63 else ""  # Python refuses to write down the longest


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "object"}]})
class AddressField(serializers.Field[Any, Any, Any, Any]):
    """A whole address: a text of up to ``limit`` characters, or an object of texts and lists of texts, named as any
    shop names them. What is null in it is left out, and so is what says something of a saved row: its id, its times."""

    MAX_FIELDS = 50
    MAX_NAME = 50
    MAX_TEXT = 500
    default_error_messages = {
        "invalid": f"An address is a text, or an object of up to {MAX_FIELDS} texts or lists of texts.",
        "no_text": "In an address this is a text, or a list of texts.",
        "name": "The name of a part of an address is one line of text.",
        "twice": "This part of the address is given twice.",
    }

    def __init__(self, *, limit: int, **kwargs: Any) -> None:
        self.limit = limit
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return self._clean(data, self.limit)
        if not isinstance(data, dict) or len(data) > self.MAX_FIELDS or any(len(name) > self.MAX_NAME for name in data):
            self.fail("invalid")
        found: dict[str, Any] = {}
        for given, value in data.items():
            try:
                name = self._name(given)
                if value is None or addresses.is_of_the_row(name, value):
                    continue
                if name in found:
                    self.fail("twice")
                found[name] = self._phone(value) if addresses.is_phone(name) else self._value(value)
            except serializers.ValidationError as error:
                raise serializers.ValidationError({given: error.detail}) from None
        return found

    def _name(self, given: str) -> str:
        try:
            return text.clean(given, limit=self.MAX_NAME, blank=False)
        except ValueError:
            return self.fail("name")

    def _value(self, value: Any) -> Any:
        if isinstance(value, list) and len(value) <= self.MAX_FIELDS:
            return [self._clean(inner, self.MAX_TEXT) for inner in value]
        return self._clean(value, self.MAX_TEXT)

    def _phone(self, value: Any) -> str:
        """One number, alone or in a list."""
        number: str = PhoneField().run_validation(value[0] if isinstance(value, list) and len(value) == 1 else value)
        return number

    def _clean(self, given: Any, limit: int) -> str:
        if not isinstance(given, str):
            self.fail("no_text")
        try:
            return text.clean_lines(given, limit=limit)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from None

    def to_representation(self, value: Any) -> Any:
        return value


class IdempotencyKeyField(TextField):
    default_error_messages = {"invalid_key": "An idempotency key has 1 to 255 printable characters."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def intake(self, given: str) -> str:
        try:
            return text.code(given, limit=255, name="An idempotency key")
        except ValueError:
            return self.fail("invalid_key")
