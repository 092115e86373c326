"""The OpenAPI document and its pages, served whatever the request says it accepts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class FirstUnlessAsked(DefaultContentNegotiation):
    """Follow ``?format=``. Otherwise give the first format, never a 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        if request.query_params.get("format"):
            return super().select_renderer(request, renderers, format_suffix)
        return renderers[0], renderers[0].media_type


class Schema(SpectacularAPIView):  # type: ignore[misc]
    """The OpenAPI document."""

    content_negotiation_class = FirstUnlessAsked
    http_method_names = ["get", "head"]


class Docs(SpectacularSwaggerSplitView):  # type: ignore[misc]
    """Swagger UI. Its script has a URL of its own, so the page needs no inline script."""

    template_name = "eci/docs.html"
    content_negotiation_class = FirstUnlessAsked
    http_method_names = ["get", "head"]
    url_name = "schema"
