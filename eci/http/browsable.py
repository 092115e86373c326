"""The API in a browser: every answer is a page, and every body a JSON form that starts with an example."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers
from rest_framework.renderers import BrowsableAPIRenderer

from eci.http.fields import AmountField, EmailField, IdField, OrderIdField, QuantityField


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's page, without what our CSP or our views cannot serve."""

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> dict[str, Any]:
        """Leave out the colours of code samples: they are an inline style, which our CSP forbids."""
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        return context | {"code_style": ""}

    def get_filter_form(self, data: Any, view: Any, request: Any) -> None:
        """None: DRF would make the form from a queryset, which our views do not have."""

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        form: Any = super().get_raw_data_form(data, view, method, request)
        serializer = view.body_serializers.get(method) if hasattr(view, "body_serializers") else None
        if serializer is not None and hasattr(form, "fields"):
            form.fields["_content"].initial = json.dumps(example(serializer()), indent=4)
        return form


def example(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """A body to fill in: the required fields, and all ids and quantities, as often one of several is required."""
    return {
        name: _value(name, field)
        for name, field in serializer.fields.items()
        if field.required or isinstance(field, (IdField, QuantityField))
    }


def _value(name: str, field: Any) -> Any:
    if isinstance(field, serializers.ListSerializer):
        return [_value(name, field.child)]
    if isinstance(field, serializers.Serializer):
        return example(field)
    if isinstance(field, serializers.IntegerField):
        return 1
    if isinstance(field, AmountField):
        return "9.99"
    if isinstance(field, OrderIdField):
        return "ORDER-123"
    if isinstance(field, EmailField):
        return "somebody@example.com"
    if isinstance(field, serializers.ChoiceField):
        return next(iter(field.choices))
    return name
