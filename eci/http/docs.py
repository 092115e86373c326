"""The OpenAPI document and its pages, served whatever the request says it accepts."""

from __future__ import annotations

import functools
import gzip
import hashlib
import threading
from typing import Any, NamedTuple

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular import renderers
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from eci.http.negotiation import KnownFormats


class FirstUnlessAsked(KnownFormats):
    """Follow ``?format=``. Otherwise give the first format, never a 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        if "format" in request.query_params:
            return super().select_renderer(request, renderers, format_suffix)
        return renderers[0], renderers[0].media_type


class Document(NamedTuple):
    plain: bytes
    zipped: bytes
    etag: str


_building = threading.Lock()


@functools.cache
def schema() -> dict[str, Any]:
    """The document of the contexts that this process hosts. It depends on the code alone, and costs a second."""
    made: dict[str, Any] = SpectacularAPIView.generator_class().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


def in_format(made: dict[str, Any], renderer: str) -> Document:
    plain: bytes = getattr(renderers, renderer)().render(made, renderer_context={})
    return Document(plain, gzip.compress(plain, mtime=0), f'"{hashlib.blake2b(plain, digest_size=16).hexdigest()}"')


@functools.cache
def _document(renderer: str) -> Document:
    return in_format(schema(), renderer)


class Schema(SpectacularAPIView):  # type: ignore[misc]
    """The OpenAPI document."""

    content_negotiation_class = FirstUnlessAsked
    http_method_names = ["get", "head"]

    def document(self, renderer: str) -> Document:
        return _document(renderer)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        renderer = request.accepted_renderer
        with _building:  # whoever else asks meanwhile need not build it too
            document = self.document(renderer.__class__.__name__)
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        answer = HttpResponse(document.zipped if zipped else document.plain, content_type=str(renderer.media_type))
        if zipped:
            answer["Content-Encoding"] = "gzip"
        answer["Content-Disposition"] = f'inline; filename="openapi.{renderer.format}"'
        answer["Cache-Control"], answer["Vary"] = "no-cache", "Accept-Encoding"
        answer["ETag"] = document.etag if not zipped else f"W/{document.etag}"
        return get_conditional_response(request, etag=answer["ETag"], response=answer) or answer


class Docs(SpectacularSwaggerSplitView):  # type: ignore[misc]
    """Swagger UI. Its script has a URL of its own, so the page needs no inline script."""

    template_name = "eci/docs.html"
    content_negotiation_class = FirstUnlessAsked
    http_method_names = ["get", "head"]
    url_name = "schema"
