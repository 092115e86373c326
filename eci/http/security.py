"""Security headers for browsers, beside those of Django and django-csp."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_PERMISSIONS = ", ".join(f"{feature}=()" for feature in ("camera", "geolocation", "microphone", "payment", "usb"))
_NOTHING = "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """JSON may run nothing, and no cache may store it unless it has an ETag.

    This stands outside of every middleware that answers by itself, so that those answers have the headers too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        if "json" in response.headers.get("Content-Type", ""):
            response.headers["Content-Security-Policy"] = _NOTHING
            if "ETag" not in response.headers:
                response.headers.setdefault("Cache-Control", "no-store")
        return response
