"""Middleware that pages and their forms need. A call of the API that brings a token, and no cookie, passes it by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest

_API = ("/v1/", "/api/v1/")


def is_call(request: HttpRequest) -> bool:
    sent = request.META
    return "HTTP_AUTHORIZATION" in sent and not sent.get("HTTP_COOKIE") and request.path_info.startswith(_API)


class _ForPages:
    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if is_call(request) else super().__call__(request)  # type: ignore[misc]


class Sessions(_ForPages, SessionMiddleware): ...


class Accounts(_ForPages, AuthenticationMiddleware): ...


class Messages(_ForPages, MessageMiddleware): ...
