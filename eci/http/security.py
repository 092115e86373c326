"""Headers that tell browsers what not to do with an answer, beside those of Django and django-csp."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_PERMISSIONS = ", ".join(f"{feature}=()" for feature in ("camera", "geolocation", "microphone", "payment", "usb"))
_NOTHING = "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """Outside all middleware that answers by itself. JSON runs nothing and is kept by no cache unless it has a tag."""

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
