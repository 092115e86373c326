"""What one process says for all contexts, wherever they run: their health, and one OpenAPI document. For a gateway."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from eci.calls import remote
from eci.http import docs
from eci.http.health import report, states
from eci.remembered import Remembered

_TIMEOUT = 2.0  # seconds
_HEALTH: Remembered[str, str] = Remembered(1)  # by context: its state
_DOCUMENTS: Remembered[str, dict[str, Any]] = Remembered(60)  # by place
_WHOLE: Remembered[tuple[str, ...], docs.Document] = Remembered(60)  # by format, and the contexts it is without
_AWAY: Remembered[str, bool] = Remembered(5)  # by place: it did not give its document


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """``breakers``: how this process sees the others."""
    own, elsewhere = list(settings.ECI_CONTEXTS), _elsewhere()
    found = states(own) | _at_once(lambda context: _HEALTH.get_or_load(context, lambda: ask(context)), elsewhere)
    ordered = {context: found[context] for context in settings.ECI_SERVICES if context in found}
    return report(ordered, breakers={context: remote.breaker(context) for context in elsewhere})


def _elsewhere() -> list[str]:
    return [context for context, place in settings.ECI_SERVICES.items() if place.startswith("http")]


def _at_once(ask: Callable[[str], Any], names: list[str]) -> dict[str, Any]:
    """The answers by name. Time-outs do not add up."""
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def ask(context: str) -> str:
    """The state of a context that runs elsewhere, as its own process says it."""
    try:
        answer = _get(f"{settings.ECI_SERVICES[context]}/health/{context}", timeout=_TIMEOUT)
        return str(answer.json()["contexts"][context])
    except (httpx.HTTPError, ValueError, LookupError, TypeError):  # away, or something else answers there
        return "unreachable"


def _get(url: str, *, timeout: float) -> httpx.Response:
    return httpx.get(url, timeout=timeout, verify=_trusted(), trust_env=False)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Read once: httpx reads all certificates for each question, which takes far longer than all else about it."""
    return httpx.create_ssl_context(trust_env=False)


class Schema(docs.Schema):
    """The documents of all processes as one. It names the contexts whose process does not give its own."""

    def document(self, renderer: str) -> docs.Document:
        places = {settings.ECI_SERVICES[context]: context for context in _elsewhere()}
        found = _at_once(_document, list(places))
        missing = sorted(context for context in _elsewhere() if found[settings.ECI_SERVICES[context]] is None)
        known = list(filter(None, found.values()))
        return _WHOLE.get_or_load((renderer, *missing), lambda: docs.in_format(_whole(known, missing), renderer))


def _whole(documents: list[dict[str, Any]], missing: list[str]) -> dict[str, Any]:
    """Our own document with these. It names the contexts that are missing."""
    whole = functools.reduce(_merged, documents, docs.schema())
    if not missing:
        return whole
    told = f"Without {', '.join(missing)}, which cannot be reached at the moment."
    return whole | {"info": whole["info"] | {"description": f"{whole['info']['description']} {told}"}}


def _document(place: str) -> dict[str, Any] | None:
    if place in _AWAY:
        return None
    try:
        return _DOCUMENTS.get_or_load(place, lambda: _fetched(place))
    except (httpx.HTTPError, ValueError):
        _AWAY.put(place, True)
        return None


def _fetched(place: str) -> dict[str, Any]:
    answer = _get(f"{place}/schema?format=json", timeout=4 * _TIMEOUT)  # it may have to build it
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Paths and components of both. What has the same name has the same content: the code is the same."""
    kinds = one["components"].keys() | other["components"].keys()
    components = {
        kind: dict(sorted((one["components"].get(kind, {}) | other["components"].get(kind, {})).items()))
        for kind in sorted(kinds)
    }
    return one | {"paths": dict(sorted((one["paths"] | other["paths"]).items())), "components": components}
