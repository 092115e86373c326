"""The front page: links to everything else."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

_PLACES = [
    ("/docs", "API documentation, with calls to try"),
    ("/v1/", "The API itself, browsable: what you may call"),
    ("/admin/", "Staff: catalog, stock, orders, payments, shipments, notifications"),
    ("/staff/reconcile", "Staff: what is stuck or at odds, and the switch for new orders"),
    ("/health", "Health of every context"),
    ("/metrics", "Metrics for Prometheus"),
]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    reachable = [place for place in _PLACES if place[0] != "/staff/reconcile" or "orders" in settings.ECI_CONTEXTS]
    return render(request, "staff/home.html", {"places": reachable, "open_mode": settings.ECI_OPEN})
