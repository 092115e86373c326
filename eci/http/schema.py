"""The OpenAPI document, made from the views: with the envelope around every answer, and the errors of each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from eci.http.paging import QuerySerializer
from eci.http.views import ApiView

_ERRORS = {
    "400": "Invalid request",
    "401": "Not authenticated",
    "403": "Not allowed",
    "404": "Not found",
    "409": "Conflict with the current state",
    "415": "The body is not JSON",
    "422": "Idempotency key reused for another request",
    "429": "Too many requests; see Retry-After",
    "503": "A context or its database cannot be reached",
}


def only_v1(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave out the paths under /api/v1/<context>/: they are the same endpoints again."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/v1/")]


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "eci.identity.auth.AccessToken"
    name = "accessToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "eci.identity.auth.StaffSession"
    name = "staffSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class EnvelopeSchema(AutoSchema):
    """Adds what ``ApiView`` knows to what a view says of its answers.

    A view says it with ``@extend_schema(responses={201: ProductOut})``, and ``ProductOut(many=True)`` for a list.
    """

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "tag", "") or type(self.view).__module__.split(".")[1]]

    def get_description(self) -> str:  # type: ignore[override]  # as AutoSchema has it
        """The docstring of the method or the view, but not the one that a view inherits from ``ApiView``."""
        description = super().get_description()
        return "" if description == get_doc(ApiView) else description

    def get_request_serializer(self) -> Any:
        if isinstance(self.view, ApiView):
            return self.view.body_serializers.get(self.method)
        return super().get_request_serializer()

    def get_override_parameters(self) -> list[Any]:
        parameters: list[Any] = []
        if isinstance(self.view, ApiView):
            if self.method == "GET" and self.view.query_serializer:
                parameters.append(self.view.query_serializer)
            if self.method in self.view.keyed_methods:
                parameters.append(_IDEMPOTENCY_KEY)
            if self.method in self.view.conditional_methods:
                parameters.append(_IF_MATCH)
        return parameters

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status, response in bodies.items():
            for kind, content in response.get("content", {}).items():
                if kind == "application/json":
                    content["schema"] = _success(content.get("schema", {}), paged=self._is_paged())
            if status == "204":
                response.pop("content", None)
            if self._has_versions() and status == "200":
                response["headers"] = {"ETag": {"description": "The version.", "schema": {"type": "string"}}}
        for status, description in {**_ERRORS, **self._own_refusals()}.items():
            bodies.setdefault(status, {"description": description, "content": {"application/json": {"schema": _ERROR}}})
        return bodies

    def _own_refusals(self) -> Mapping[str, str]:
        if not isinstance(self.view, ApiView):
            return {}
        conditional = _CHANGED if self.method in self.view.conditional_methods else {}
        return {**conditional, **self.view.refusals.get(self.method, {})}

    def _has_versions(self) -> bool:
        return isinstance(self.view, ApiView) and bool(self.view.conditional_methods)

    def _is_paged(self) -> bool:
        query = getattr(self.view, "query_serializer", None)
        return self.method == "GET" and query is not None and issubclass(query, QuerySerializer)

    def _is_list_view(self, serializer: Any = None) -> bool:
        answered = self.get_response_serializers() if serializer is None else serializer
        return isinstance(answered, serializers.ListSerializer)


def _success(data: dict[str, Any], *, paged: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "status": {"type": "string", "enum": ["success"]},
        "data": data,
        "error": {"type": "null"},
        "timestamp": {"type": "string", "format": "date-time"},
    }
    if paged:
        properties["meta"] = {
            "type": "object",
            "properties": {
                "limit": {"type": "integer"},
                "next": {"type": ["string", "null"]},
                "previous": {"type": ["string", "null"]},
            },
        }
    return {"type": "object", "required": list(properties), "properties": properties}


_ERROR = {
    "type": "object",
    "required": ["status", "data", "error", "code", "details", "timestamp"],
    "properties": {
        "status": {"type": "string", "enum": ["error"]},
        "data": {"type": "null"},
        "error": {"type": "string"},
        "code": {"type": "string"},
        "details": {"type": "object", "additionalProperties": True},
        "timestamp": {"type": "string", "format": "date-time"},
    },
}
_CHANGED = {"412": "Changed since the version that If-Match names"}
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that you saw. If it has changed meanwhile, nothing is done and the answer is a 412.",
)
_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same request gets the first answer again.",
)
