"""What an answer is: JSON, unless the client asks for something else that there is."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from eci.errors import InvalidRequest


class KnownFormats(DefaultContentNegotiation):
    """``?format=`` is one of those that there are; a view's ``formats`` are those that it names."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        asked = request.query_params.get("format")
        if asked is not None and asked not in (known := [one.format for one in renderers]):
            view = (request.parser_context or {}).get("view")
            named = getattr(view, "formats", [one for one in known if one != "api"])  # that is the page for browsers
            sentence = f"This is one of {', '.join(named)}."
            raise InvalidRequest(f"format: {sentence}", format=[sentence])
        return super().select_renderer(request, renderers, format_suffix)


class JsonUnlessAsked(KnownFormats):
    """Follow ``?format=`` and ``Accept``. Never a 406, and a page only where ``text/html`` itself is accepted."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """None, which is a 415, for a range such as ``*/*``: it says nothing about a body."""
        return None if "*" in request.content_type.partition(";")[0] else super().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        first = renderers[0], renderers[0].media_type
        if request.META.get("HTTP_ACCEPT", "*/*") in ("*/*", first[1]) and "format" not in request.query_params:
            return first
        try:
            renderer, media_type = super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return first
        asked = {accepted.partition(";")[0].strip().lower() for accepted in self.get_accept_list(request)}
        if renderer.media_type == "text/html" and not request.query_params.get("format") and "text/html" not in asked:
            return first
        return renderer, media_type
