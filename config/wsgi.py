"""What gunicorn serves."""

import os
from functools import lru_cache

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest
from django.urls import ResolverMatch, get_resolver

_MOST = 1000
_LONG = 200  # characters


class Handler(WSGIHandler):
    """Django tries one pattern after the other. What a path leads to is found out once, if it is not very long."""

    def __init__(self) -> None:
        super().__init__()
        self._found = lru_cache(_MOST)(get_resolver().resolve)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        if len(request.path_info) > _LONG:
            return super().resolve_request(request)
        match = self._found(request.path_info)
        request.resolver_match = match
        return match


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)
application = Handler()
# Connections go back when a request has ended. Django looks after each of them as the next one begins, too.
request_started.disconnect(close_old_connections)
request_started.disconnect(reset_queries)
get_resolver().url_patterns  # noqa: B018 - loads all views now instead of at the first request
