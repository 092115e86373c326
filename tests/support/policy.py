"""The table of docs/security.md: who may call what, as people wrote it down."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

from tests.support.routes import routes
from tests.support.world import ROOT

ROLES = ("A", "C", "K", "S", "P", "admin", "V")
_ROW = re.compile(r"\| (GET|POST|PUT|PATCH|DELETE) \| (\S+) \| (.+) \|")

Call = tuple[str, str]


def table() -> dict[Call, dict[str, str]]:
    """(method, route) -> role -> ``yes``, ``own``, ``page``, ``process`` or ``-``."""
    rows = {}
    for line in (ROOT / "docs/security.md").read_text().splitlines():
        if found := _ROW.fullmatch(line):
            method, path, cells = found.groups()
            assert (method, path) not in rows, f"{method} {path} stands there twice"
            rows[method, path] = dict(zip(ROLES, cells.split(" | "), strict=True))
    return rows


def served() -> set[Call]:
    """Every call of the URL map: /v1, and what stands beside it. The gateway's copies and the admin have own tests."""
    calls = {(method, route.path) for route in routes() for method in route.methods}
    beside = _plain("", get_resolver().url_patterns)
    return calls | {("POST" if path.startswith("/internal/") else "GET", path) for path in beside}


def _plain(prefix: str, patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if path not in ("v1/", "admin/") and not path.startswith("api/v1/"):
                yield from _plain(path, pattern.url_patterns)
        elif not path.startswith(("api/v1/", "admin/")):
            yield "/" + re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", path)
