"""The endpoints under /v1 that this process serves, for pages that lead from one to another."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.urls import URLPattern, URLResolver, get_resolver

from eci.identity.auth import Caller
from eci.identity.roles import only

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """``path`` as in the documents: ``/v1/products/{product_id}``."""

    path: str
    view: Any

    @functools.cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(_PARAMETER.findall(self.path))

    def methods(self, caller: Caller) -> list[str]:
        """Those that the caller may use."""
        return [method for method in _METHODS if hasattr(self.view, method.lower()) and self._may(caller, method)]

    def url(self, values: Mapping[str, Any]) -> str:
        return _PARAMETER.sub(lambda found: quote(str(values[found[1]]), safe=""), self.path)

    def _may(self, caller: Caller, method: str) -> bool:
        roles = self.view.roles
        return caller.may(roles if isinstance(roles, frozenset) else roles.get(method, only()))


@functools.cache
def endpoints() -> tuple[Endpoint, ...]:
    return tuple(sorted(_served(), key=lambda one: one.path))


def _served() -> Iterator[Endpoint]:
    for included in get_resolver().url_patterns:
        if isinstance(included, URLResolver) and str(included.pattern) == "v1/":
            for pattern in included.url_patterns:
                assert isinstance(pattern, URLPattern)
                path = re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", str(pattern.pattern))
                yield Endpoint(path=f"/v1/{path}", view=pattern.callback.view_class)  # type: ignore[attr-defined]


@functools.cache
def page_of(field: str) -> Endpoint | None:
    """The endpoint that answers the one thing a field names: ``product_id`` is that of a product."""
    found = [one for one in endpoints() if one.parameters == (field,) and one.path.endswith(f"{{{field}}}")]
    return min((one for one in found if hasattr(one.view, "get")), key=lambda one: len(one.path), default=None)


def below(path: str) -> list[Endpoint]:
    """What there is of the same thing, or in the same list: ``/v1/orders/{order_id}/cancel`` of an order."""
    return [one for one in endpoints() if _is_step_below(path, one.path)]


def _is_step_below(path: str, other: str) -> bool:
    return other.startswith(f"{path}/") and "{" not in other.removeprefix(path)


@functools.cache
def path_of(view: Any) -> str:
    """The path of a view, as in the documents; empty for one that is not under /v1."""
    return next((one.path for one in endpoints() if one.view is view), "")
