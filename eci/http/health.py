"""Health: which databases of this process's contexts can be reached, and written to. Liveness asks no database."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from eci import databases
from eci.http.envelope import not_found
from eci.remembered import Remembered

known: Remembered[str, bool] = Remembered(1)  # by alias: whether its database answered
_turns: dict[str, threading.Lock] = defaultdict(threading.Lock)  # by alias: however many want to know, one asks


def reachable(names: list[str]) -> dict[str, bool]:
    """Which of these databases answer, by alias; as of a second ago at most.

    All are asked at once, so that their time-outs do not add up.
    """
    lately = {name: known.get(name) for name in names}
    asked = [name for name, answered in lately.items() if answered is None]
    if asked:
        with ThreadPoolExecutor(len(asked)) as pool:
            lately |= zip(asked, pool.map(_answers_lately, [connections[name] for name in asked]), strict=True)
    return {name: bool(answered) for name, answered in lately.items()}


def _answers_lately(database: BaseDatabaseWrapper) -> bool:
    with _turns[database.alias]:
        return known.get_or_load(database.alias, lambda: _answers(database))


def _answers(known: BaseDatabaseWrapper) -> bool:
    connection = known.copy()  # a connection belongs to its thread
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone())
    except Exception:  # each driver has its own
        return False
    finally:
        connection.close()


def states(names: list[str]) -> dict[str, str]:
    """A full disk shows in the writes that failed, and SQLite's in its size: nothing is written to find out."""
    return {
        name: databases.FULL if databases.has_full_disk(name) else "healthy" if reached else "unreachable"
        for name, reached in reachable(names).items()
    }


def report(contexts: dict[str, str], **more: Any) -> HttpResponse:
    """What is answered for these contexts, whose states are known."""
    found = set(contexts.values())
    if "healthy" in found:
        status = "healthy" if len(found) == 1 else "degraded"
    else:
        status = "unreachable" if found == {"unreachable"} else "unhealthy"
    return JsonResponse({"status": status, "contexts": contexts} | more, status=200 if "healthy" in found else 503)


@csrf_exempt
@require_safe
def overall(request: HttpRequest) -> HttpResponse:
    return report(states(list(settings.ECI_CONTEXTS)))


@csrf_exempt
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "healthy"})


@csrf_exempt
@require_safe
def one(request: HttpRequest, context: str) -> HttpResponse:
    if context not in settings.ECI_CONTEXTS:
        return not_found(request, LookupError(context))
    state = states([context])[context]
    status = "unhealthy" if state == databases.FULL else state
    return JsonResponse({"status": status, "contexts": {context: state}}, status=200 if state == "healthy" else 503)
