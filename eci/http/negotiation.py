"""What an answer is: JSON, unless the client asks for something else that there is."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class JsonUnlessAsked(DefaultContentNegotiation):
    """Follow ``?format=`` and ``Accept``. Never a 406, and a page only where ``text/html`` itself is accepted."""

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
