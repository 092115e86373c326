"""A context's paths under /v1. Django tries each of its patterns, and all contexts have a hundred."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.urls import Resolver404, ResolverMatch, URLResolver, include
from django.urls.resolvers import RoutePattern


class Routes(URLResolver):
    """As ``path(prefix, include(module))``. A path that begins with no word of the context's is none of its."""

    def __init__(self, prefix: str, module: str) -> None:
        super().__init__(RoutePattern(prefix, is_endpoint=False), include(module)[0])
        self._prefix = prefix

    @cached_property
    def _words(self) -> frozenset[str]:
        """With which its paths begin."""
        return frozenset(str(one.pattern).partition("/")[0] for one in self.url_patterns)

    def resolve(self, path: Any) -> ResolverMatch:
        if not path.startswith(self._prefix) or path[len(self._prefix) :].partition("/")[0] not in self._words:
            raise Resolver404({"path": path})
        return super().resolve(path)
