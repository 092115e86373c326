"""The envelope around every JSON answer under /v1, errors included (docs/api.md)."""

from __future__ import annotations

import sys
from typing import Any, cast

import structlog
from django.core.exceptions import BadRequest, DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.defaults import page_not_found
from pydantic_core import to_json
from rest_framework import exceptions, status
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from eci.clock import iso, utcnow
from eci.databases import FULL, READ_ONLY, database_of, kind_of, was_too_slow
from eci.db import context_of
from eci.errors import ContextUnavailable, EciError
from eci.watch.requests import request_id

log = structlog.stdlib.get_logger(__name__)

_PAGES = ("/admin/", "/staff/")  # of staff, in a browser
_API = ("/v1/", "/api/v1/")
_CODES = {
    400: "validation_error",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "throttled",
}


class OtherSignIn(PermissionDenied):
    """The CSRF token is missing, or of another sign-in or site."""


def success(data: Any, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    body = {"status": "success", "data": data, "error": None, "timestamp": iso(utcnow())}
    return body | {"meta": meta} if meta is not None else body


def failure(message: str, code: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "status": "error",
        "data": None,
        "error": message,
        "code": code,
        "details": details or {},
        "timestamp": iso(utcnow()),
    }


_OTHERS = JSONRenderer.encoder_class().default


class EnvelopeRenderer(JSONRenderer):
    """Puts a view's answer into the envelope. The body of an error is in it already."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is not None and response.status_code == status.HTTP_204_NO_CONTENT:
            return b""
        if isinstance(data, dict) and data.get("status") == "error" and "timestamp" in data:
            return self._rendered(data, accepted_media_type, renderer_context)
        data = success(data, getattr(response, "meta", None))
        if accepted_media_type != self.media_type or "indent" in (renderer_context or {}):
            return self._rendered(data, accepted_media_type, renderer_context)
        written = to_json(data, fallback=_OTHERS)  # of times it would show microseconds; presenters give texts
        return written.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")

    def _rendered(self, *how: Any) -> bytes:
        """By Python's encoder, which takes four times as long, can indent, and knows what stands in errors."""
        rendered: bytes = super().render(*how)
        return rendered


class Page(Response):
    """One page of a list. The envelope has ``meta`` beside ``data``."""

    def __init__(self, rows: list[Any], meta: dict[str, Any]) -> None:
        super().__init__(rows)
        self.meta = meta


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: every exception becomes an answer in the envelope."""
    http_status, body, headers = describe(error)
    return Response(body, status=http_status, headers=headers)


def describe(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body in its envelope, and headers for any exception. An unexpected one is logged and becomes a 500."""
    if isinstance(error, (OperationalError, InterfaceError)):
        database = database_of(error)
        log.warning(
            "database_unavailable", kind=kind_of(error), context=database and context_of(database), exc_info=error
        )
        error = _unavailable(error)
    if isinstance(error, EciError):
        retry_after = getattr(error, "retry_after", None)
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return error.status, failure(error.message, error.code, error.details), headers
    if isinstance(error, Http404):
        return 404, failure("There is nothing here.", "not_found"), {}
    if isinstance(error, RequestDataTooBig):
        return 413, failure("The request is too large.", "request_too_large"), {}
    if isinstance(error, DisallowedHost):
        return 400, failure("The Host header names no host that is served here.", "validation_error"), {}
    if isinstance(error, (BadRequest, SuspiciousOperation)):
        return 400, failure("The request is malformed.", "validation_error"), {}
    if isinstance(error, PermissionDenied):
        return 403, failure("You may not do this.", "permission_denied"), {}
    if isinstance(error, exceptions.ValidationError):
        return 400, failure(*_validation(error.detail)), {}
    if isinstance(error, exceptions.APIException):
        code = _CODES.get(error.status_code, "error")
        headers = {}
        if isinstance(error, (exceptions.AuthenticationFailed, exceptions.NotAuthenticated)):
            headers["WWW-Authenticate"] = "Bearer"
        wait = getattr(error, "wait", None)
        if wait is not None:
            headers["Retry-After"] = str(int(wait) + 1)
        return error.status_code, failure(str(error.detail), code), headers
    log.error("unhandled_error", exc_info=error, kind="database" if isinstance(error, DatabaseError) else "code")
    return 500, failure("Something went wrong on our side.", "internal_error", {"request_id": request_id()}), {}


def _unavailable(error: OperationalError | InterfaceError) -> ContextUnavailable:
    """The refusal names the context whose database failed."""
    database = database_of(error)
    if database is None:
        return ContextUnavailable("A database cannot be reached at the moment. Please try again.")
    context = context_of(database)
    if was_too_slow(error):
        return ContextUnavailable(
            f"The database of {context} takes too long for this. Ask for less, or try again later.", context=context
        )
    if kind_of(error) in (FULL, READ_ONLY):
        return ContextUnavailable(
            f"The database of {context} takes no changes at the moment. Please try again.", context=context
        )
    return ContextUnavailable(
        f"The database of {context} cannot be reached at the moment. Please try again.", context=context
    )


def _validation(detail: Any) -> tuple[str, str, dict[str, Any]]:
    details = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    return _first_sentence(details), "validation_error", details


def _first_sentence(detail: Any, path: str = "") -> str:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if inner:
                here = "" if name == "non_field_errors" else str(name)
                return _first_sentence(inner, ".".join(part for part in (path, here) if part))
    if isinstance(detail, list):
        for index, inner in enumerate(detail):
            if inner:
                here = f"{path}.{index}" if isinstance(inner, (dict, list)) else path
                return _first_sentence(inner, here)
    return f"{path}: {detail}" if path else str(detail)


def _json(http_status: int, body: dict[str, Any], headers: dict[str, str]) -> HttpResponse:
    return JsonResponse(body, status=http_status, headers=headers)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: an unknown URL is answered in the envelope too, and in a browser by a page."""
    if "text/html" in request.headers.get("Accept", ""):
        if request.path.startswith(_PAGES):
            return page_not_found(request, exception)
        if request.path.startswith(_API) and request.method == "GET":
            from eci.http.root import Nothing  # late: views stand on this module

            answer: HttpResponse = Nothing.as_view()(request)
            return answer
    return _json(404, failure("There is nothing at this address.", "not_found"), {})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: a form whose token is of another sign-in, or of another site."""
    if "text/html" in request.headers.get("Accept", ""):
        return render(request, "403_csrf.html", status=403)
    return _json(403, failure("The CSRF token is missing or of another sign-in.", "permission_denied"), {})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _json(*describe(exception if isinstance(exception, SuspiciousOperation) else BadRequest()))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, for failures outside a view or in the admin, called while the exception is handled."""
    return _json(*describe(cast(Exception, sys.exception())))


class ErrorMiddleware:
    """Answers exceptions of plain Django views in the envelope as well, except the admin's, and refusals by pages."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, OtherSignIn):
            return csrf_failure(request)
        is_refusal = isinstance(exception, PermissionDenied | Http404)
        if request.path.startswith("/admin/") or (is_refusal and request.path.startswith(_PAGES)):
            return None
        return _json(*describe(exception))
