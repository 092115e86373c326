"""The URL map as tests read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from eci.http.views import ApiView
from eci.identity.roles import Roles, only

HTTP_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """``path`` as in docs/api.md: ``/v1/products/{product_id}``."""

    context: str
    path: str
    view: type[ApiView]

    @property
    def methods(self) -> list[str]:
        return [method.upper() for method in HTTP_METHODS if hasattr(self.view, method)]

    @property
    def example(self) -> str:
        """A URL of this route."""
        return re.sub(r"\{[a-z_]+\}", "7", self.path)

    def roles(self, method: str) -> Roles:
        roles = self.view.roles
        return roles if isinstance(roles, frozenset) else roles.get(method, only())


def routes() -> list[Route]:
    """Every route under /v1/."""
    return list(_routes("v1/"))


def gateway_routes(context: str) -> list[Route]:
    """Every route under /api/v1/<context>/v1/, under the name it has there."""
    return list(_routes(f"api/v1/{context}/v1/"))


def _routes(prefix: str) -> Iterator[Route]:
    for included in get_resolver().url_patterns:
        if isinstance(included, URLResolver) and str(included.pattern) == prefix:
            for pattern in included.url_patterns:
                yield _route(prefix, pattern, included)


def _route(prefix: str, pattern: Any, included: Any) -> Route:
    assert isinstance(pattern, URLPattern), f"{pattern}: nested URLs hide from these tests"
    view = pattern.callback.view_class
    path = re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", str(pattern.pattern))
    room, name = included.urlconf_name.__name__.split(".")[:2]
    context = name if room == "contexts" else "customers"  # config/people is served among their routes
    return Route(context=context, path=f"/{prefix}{path}", view=view)
