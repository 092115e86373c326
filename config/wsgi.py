"""What gunicorn serves."""

import os

import django
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.urls import ResolverMatch, get_resolver

_MOST = 1000


class Handler(WSGIHandler):
    """Django tries one pattern after the other. What a path without parameters leads to is found out once."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, ResolverMatch] = {}

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        match = self._found.get(request.path_info)
        if match is None:
            match = super().resolve_request(request)
            is_fixed = not match.args and not match.captured_kwargs  # type: ignore[attr-defined]
            if is_fixed and len(self._found) < _MOST:
                self._found[request.path_info] = match
        request.resolver_match = match
        return match


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)
application = Handler()
get_resolver().url_patterns  # noqa: B018 - loads all views now instead of at the first request
