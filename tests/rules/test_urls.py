"""Every URL is served twice, asks who calls, and answers in the envelope whatever goes wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import resolve

from eci.http.exports import ExportView
from eci.http.views import ApiView
from eci.identity.roles import EVERYBODY, Role, only
from tests.support.api import Answer, Api
from tests.support.process import python
from tests.support.routes import gateway_routes, routes
from tests.support.rows import rows

pytestmark = pytest.mark.any_engine

ROUTES = routes()
CALLS = [(method, route) for route in ROUTES for method in route.methods]

# Whom docs/api.md lets in without credentials.
PUBLIC = {
    ("GET", "/v1/products"),
    ("GET", "/v1/products/search"),
    ("GET", "/v1/products/{product_id}"),
    ("GET", "/v1/products/{product_id}/prices"),
    ("GET", "/v1/products/sku/{sku}"),
    ("GET", "/v1/categories"),
    ("GET", "/v1/inventory/availability"),
    ("GET", "/v1/inventory/availability/{product_id}"),
    ("GET", "/v1/shipments/track/{tracking_no}"),
    ("POST", "/v1/users/register"),
    ("POST", "/v1/users/login"),
    ("POST", "/v1/users/token/refresh"),
    ("POST", "/v1/users/logout"),
    ("POST", "/v1/users/password/reset"),
    ("POST", "/v1/users/password/reset/confirm"),
    ("POST", "/v1/users/email/verify"),
    ("POST", "/v1/staff/token"),
    ("POST", "/v1/payments/webhooks/{provider}"),
}

# What would have an effect, if it were let in.
BODIES: dict[str, Any] = {
    "/v1/products": {"sku": "INTRUDER", "name": "Intruder", "price": "1.00"},
    "/v1/customers/{customer_id}/addresses": {"line1": "1 Main St", "city": "Town", "country": "US"},
    "/v1/warehouses": {"code": "EVIL", "name": "Evil"},
    "/v1/inventory": {"product_id": 7, "warehouse": "WH001", "onhand": 5},
    "/v1/inventory/adjustments": {"product_id": 7, "warehouse": "WH001", "delta": -1, "reason": "theft"},
    "/v1/inventory/counts": {"items": [{"product_id": 7, "warehouse": "WH001", "onhand": 0}], "reason": "theft"},
    "/v1/inventory/transfers": {"product_id": 7, "from_warehouse": "A", "to_warehouse": "B", "quantity": 1},
    "/v1/inventory/reserve": {"product_id": 7, "quantity": 1},
    "/v1/payments": {"order_id": "FOREIGN-1", "amount": "5.00"},
    "/v1/payments/charge": {"order_id": "FOREIGN-1", "amount": "5.00"},
    "/v1/payments/{payment_id}/refund": {"reason": "greed"},
    "/v1/shipments": {"order_id": "FOREIGN-1"},
    "/v1/orders": {"email": "ann@example.com", "items": [{"product_id": 7, "quantity": 1}]},
    "/v1/notifications": {"type": "email", "recipient": "ann@example.com", "message": "spam"},
}


def enveloped_error(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer.json
    assert set(answer.json) == {"status", "data", "error", "code", "details", "timestamp"}
    assert (answer.json["status"], answer.json["data"], answer.code) == ("error", None, code)
    assert answer.error
    assert isinstance(answer.details, dict)
    assert answer.json["timestamp"].endswith("Z")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.no_database
def test_every_context_serves_routes() -> None:
    assert {route.context for route in ROUTES} == set(settings.ECI_CONTEXTS)


@pytest.mark.no_database
@pytest.mark.parametrize("context", settings.ECI_CONTEXTS)
def test_routes_are_served_at_the_root_and_under_their_context(context: str) -> None:
    at_root = {(route.path, route.view) for route in ROUTES if route.context == context}
    at_gateway = {(route.path.removeprefix(f"/api/v1/{context}"), route.view) for route in gateway_routes(context)}
    assert at_root == at_gateway


@pytest.mark.no_database
def test_both_urls_reach_the_view() -> None:
    for route in ROUTES:
        for url in (route.example, f"/api/v1/{route.context}{route.example}"):
            assert resolve(url).func.view_class is route.view, url  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "/v1/products",
        "/api/v1/catalog/v1/products",
        "/api/v1/customers/v1/customers",
        "/api/v1/inventory/v1/inventory",
        "/api/v1/orders/v1/orders",
        "/api/v1/payments/v1/payments",
        "/api/v1/shipping/v1/shipments",
        "/api/v1/notifications/v1/notifications",
    ],
)
def test_a_list_is_answered_at_either_url(api: Api, url: str) -> None:
    answer = api.get(url)
    assert (answer.status, answer.data, answer.json["meta"]["limit"]) == (200, [], 20)


@pytest.mark.no_database
def test_every_method_says_who_may_call() -> None:
    for method, route in CALLS:
        assert issubclass(route.view, ApiView)
        assert route.roles(method), f"{method} {route.path} has no roles"
        may_name = only(Role.ADMIN) if issubclass(route.view, ExportView) else only()
        assert route.roles(method) <= EVERYBODY | may_name, f"{method} {route.path}: an admin may do everything anyway"
        assert not isinstance(route.view.roles, dict) or set(route.view.roles) == set(route.methods), route.path


@pytest.mark.no_database
def test_only_what_is_public_is_open_to_anybody() -> None:
    assert {(method, route.path) for method, route in CALLS if Role.ANONYMOUS in route.roles(method)} == PUBLIC


@pytest.mark.parametrize(
    "url", ["/v1", "/v1/", "/v1/nothing", "/v1/products/abc", "/v1/products/1234567890123456", "/api/v1/catalog/v1/x"]
)
def test_an_unknown_url_is_an_enveloped_404(api: Api, url: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        enveloped_error(api.send(method, url, {} if method == "POST" else None), 404, "not_found")


def test_another_method_is_an_enveloped_405(api: Api) -> None:
    for route in ROUTES:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(route.methods):
            answer = api.send(method, route.example, {})
            enveloped_error(answer, 405, "method_not_allowed")
            assert set(route.methods) <= set(answer.headers["Allow"].split(", "))


def test_options_is_answered(api: Api) -> None:
    answers = {route.path: api.send("OPTIONS", route.example).status for route in ROUTES}
    assert {path: status for path, status in answers.items() if status not in (200, 405)} == {}


def test_a_browser_is_answered_with_a_page() -> None:
    client = Client(raise_request_exception=False)
    for route in ROUTES:
        if "GET" in route.methods and not issubclass(route.view, ExportView):
            page = client.get(route.example, headers={"Accept": "text/html"})
            assert page.status_code in (200, 400, 404), route.path
            assert page.headers["Content-Type"].startswith("text/html"), route.path


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "*/*"])
def test_another_media_type_is_an_enveloped_415(api: Api, media_type: str) -> None:
    before = rows()
    for method, route in CALLS:
        if route.view.body_serializers.get(method) is not None:
            answer = api.send(method, route.example, b"a=b", content_type=media_type)
            enveloped_error(answer, 415, "unsupported_media_type")
    assert rows() == before


def test_a_parameter_nobody_knows_is_a_400(api: Api) -> None:
    for method, route in CALLS:
        answer = api.send(method, f"{route.example}?colour=red", BODIES.get(route.path, {}))
        enveloped_error(answer, 400, "validation_error")
        assert "colour" in answer.details


@pytest.mark.no_database
@pytest.mark.parametrize("env", [{"ECI_OPEN": "1"}, {"ECI_OPEN": "true", "ECI_DEBUG": "0"}])
def test_open_mode_is_refused_outside_development(tmp_path: Path, env: dict[str, str]) -> None:
    run = python("-c", "import config.settings", folder=tmp_path, **env)
    assert run.returncode != 0
    assert "ImproperlyConfigured: ECI_OPEN" in run.stderr


@pytest.mark.no_database
def test_open_mode_and_debugging_are_off_by_default(tmp_path: Path) -> None:
    told = "from config import settings as s; print(s.ECI_OPEN, s.ECI_DEBUG, s.DEBUG)"
    assert python("-c", told, folder=tmp_path).stdout.split() == ["False", "False", "False"]


@pytest.mark.no_database
def test_what_stands_in_a_path_is_taken_in() -> None:
    kinds = {kind for route in ROUTES for kind in re.findall(r"<(?:(\w+):)?\w+>", resolve(route.example).route)}
    assert kinds == {"id", "code", "ref"}


def test_an_anonymous_caller_reaches_only_what_is_public(api: Api, settings: Any) -> None:
    before = rows()
    settings.ECI_OPEN = False
    for method, route in CALLS:
        answer = api.send(method, route.example, BODIES.get(route.path, {}) if method != "GET" else None)
        if (method, route.path) in PUBLIC:
            assert answer.status in (200, 400, 404)
        else:
            enveloped_error(answer, 401, "not_authenticated")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert rows() == before


def test_credentials_that_mean_nothing_open_nothing(api: Api) -> None:
    answer = api.post("/v1/products", BODIES["/v1/products"], Authorization="Bearer forged")
    enveloped_error(answer, 401, "not_authenticated")
