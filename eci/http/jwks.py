"""The public keys that verify access tokens, as RFC 7517 has them, without the envelope."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from eci.identity import tokens


@csrf_exempt
@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    return JsonResponse(tokens.jwks(), headers={"Cache-Control": "public, max-age=60"})
