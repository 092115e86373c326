"""What a proxy may tell us, and security headers for browsers, beside those of Django and django-csp."""

from __future__ import annotations

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from eci.http.rates import is_trusted_proxy

_PERMISSIONS = ", ".join(f"{feature}=()" for feature in ("camera", "geolocation", "microphone", "payment", "usb"))
_NOTHING = "default-src 'none'; frame-ancestors 'none'"


_ONLY_PROXIES_SAY = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)


class ProxyHeaders:
    """Forgets what only a proxy may say of a request, unless a proxy of ``ECI_TRUSTED_PROXIES`` says it.

    It stands before everything that asks for host or scheme.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        said = [name for name in _ONLY_PROXIES_SAY if name in request.META]
        if said and not is_trusted_proxy(request.META.get("REMOTE_ADDR", "")):
            for name in said:
                del request.META[name]
        return self.get_response(request)


class CrossOrigin(CorsMiddleware):
    """django-cors-headers. To a call from no page it says only that pages may be answered otherwise."""

    def add_response_headers(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if "HTTP_ORIGIN" in request.META:
            return super().add_response_headers(request, response)
        if request._cors_enabled:  # type: ignore[attr-defined]
            patch_vary_headers(response, ("origin",))
        return response


class PagesPolicy(CSPMiddleware):
    """django-csp's header, for pages. JSON has that of ``SecurityHeaders``, so none is made for it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if _is_json(response) else super().process_response(request, response)


class SecurityHeaders:
    """JSON may run nothing. No cache may store pages, nor anything else that has no ETag: people may stand in it.

    This stands outside of every middleware that answers by itself, so that those answers have the headers too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        kind = response.headers.get("Content-Type", "")
        if _is_json(response):
            response.headers["Content-Security-Policy"] = _NOTHING
        if "ETag" not in response.headers or "html" in kind:
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _is_json(response: HttpResponseBase) -> bool:
    return "json" in response.headers.get("Content-Type", "")
