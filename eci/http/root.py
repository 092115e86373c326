"""``/v1/`` in a browser: what the reader may call."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response

from eci.errors import NotFound
from eci.http.endpoints import endpoints
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY


@extend_schema(exclude=True)
class Nothing(ApiView):
    """There is nothing at this address."""

    roles = EVERYBODY

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None  # by which the answer becomes a page
        with suppress(AuthenticationFailed):  # whoever asks, nothing is there; asked here, the page takes it for nobody
            request.user  # noqa: B018
        raise NotFound("There is nothing at this address.")


@extend_schema(exclude=True)
class Root(ApiView):
    """Every endpoint of the API that you may call, with its methods."""

    roles = EVERYBODY

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """There is such a page, and no such endpoint."""
        super().initial(request, *args, **kwargs)
        if request.method != "GET" or request.accepted_renderer.format != "api":
            raise NotFound("There is nothing at this address.")

    def get(self, request: Request) -> Response:
        found: dict[str, str] = {}  # a path that several contexts serve, such as that of imports, stands there once
        for one in endpoints():
            if methods := one.methods(self.caller):
                found.setdefault(one.path, " ".join(methods))
        return Response([{"endpoint": path, "methods": methods} for path, methods in found.items()])
