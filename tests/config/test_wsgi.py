"""What gunicorn serves finds for each path what Django finds."""

from __future__ import annotations

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import Resolver404, resolve

from config.wsgi import Handler

pytestmark = pytest.mark.no_database

FOUND = ["/v1/orders", "/health", "/v1/products/1", "/v1/products/2", "/health/orders", "/v1/products/sku/a/%41"]
LONG = f"/v1/products/sku/{' ' * 250}A"
NOWHERE = ["/v1/nothing", "/v1/product", "/v1/products/x/y", "/v1/orders/7/nothing", "/v2/products", "/v1/shipment/"]


def asked(path: str) -> HttpRequest:
    request = RequestFactory().get("/")
    request.path_info = path
    return request


@pytest.mark.parametrize("path", [*FOUND, LONG])
def test_a_path_leads_to_what_django_finds_the_second_time_too(path: str) -> None:
    handler = Handler()
    for _ in range(2):
        request = asked(path)
        found = handler.resolve_request(request)
        expected = resolve(path)
        assert (found.func, found.args, found.kwargs) == (expected.func, expected.args, expected.kwargs)
        assert found.route == expected.route
        assert request.resolver_match is found


def test_long_paths_and_unknown_ones_are_not_kept() -> None:
    handler = Handler()
    for path in (*FOUND, LONG):
        handler.resolve_request(asked(path))
    for path in NOWHERE:
        with pytest.raises(Resolver404):
            handler.resolve_request(asked(path))
    assert handler._found.cache_info().currsize == len(FOUND)
