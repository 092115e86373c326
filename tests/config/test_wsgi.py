"""What gunicorn serves finds for each path what Django finds."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from django.urls import Resolver404, resolve

from config.wsgi import Handler

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize("path", ["/v1/orders", "/health", "/v1/products/1", "/v1/products/2", "/health/orders"])
def test_a_path_leads_to_what_django_finds_the_second_time_too(path: str) -> None:
    handler = Handler()
    for _ in range(2):
        request = RequestFactory().get(path)
        found = handler.resolve_request(request)
        expected = resolve(path)
        assert (found.func, found.args, found.kwargs) == (expected.func, expected.args, expected.kwargs)
        assert request.resolver_match is found


def test_paths_with_parameters_and_unknown_ones_are_not_kept() -> None:
    handler = Handler()
    for path in ("/v1/products/1", "/health/orders", "/v1/orders"):
        handler.resolve_request(RequestFactory().get(path))
    with pytest.raises(Resolver404):
        handler.resolve_request(RequestFactory().get("/v1/nothing"))
    assert list(handler._found) == ["/v1/orders"]
