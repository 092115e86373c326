"""Whether this process should get requests: not while a restore puts databases in place, nor after one was cut off."""

from __future__ import annotations

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from config import unfinished
from eci.http import health
from eci.remembered import Remembered

_unfinished: Remembered[str, bool] = Remembered(1)


@csrf_exempt
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Ready while any database answers: trouble of one context must not stop the others."""
    if _unfinished.get_or_load("", _is_unfinished):
        return JsonResponse({"status": "restoring", "contexts": {}}, status=503)
    return health.overall(request)


def _is_unfinished() -> bool:
    try:
        return bool(unfinished.anywhere(settings.DATA_DIR))
    except Error:  # as at the start: a database that is away says nothing
        return False
