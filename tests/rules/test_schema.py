"""/schema, the contract and the URL map say the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from eci.http.downloads import TYPES
from tests.support.routes import routes

# The contract's tables, as far as they are served.
CONTRACT = {
    "catalog": """
        POST /v1/imports
        GET /v1/imports/{import_id}
        GET /v1/imports/{import_id}/rows
        POST /v1/imports/{import_id}/apply
        POST /v1/imports/{import_id}/undo
        POST /v1/products/import
        POST /v1/inventory/import
        GET /v1/products
        POST /v1/products
        GET /v1/products/{product_id}
        GET /v1/products/sku/{sku}
        PUT /v1/products/{product_id}
        PATCH /v1/products/{product_id}
        DELETE /v1/products/{product_id}
        GET /v1/products/search
        GET /v1/products/{product_id}/prices
        GET /v1/categories
    """,
    "inventory": """
        POST /v1/inventory
        GET /v1/inventory
        PATCH /v1/inventory/{inventory_id}
        GET /v1/inventory/{inventory_id}/explain
        POST /v1/inventory/adjustments
        POST /v1/inventory/counts
        POST /v1/inventory/transfers
        GET /v1/inventory/availability/{product_id}
        GET /v1/inventory/availability
        POST /v1/inventory/reserve
        POST /v1/inventory/confirm
        POST /v1/inventory/release
        POST /v1/inventory/ship
        GET /v1/inventory/reservations
        GET /v1/inventory/reservations/{reservation_id}
        GET /v1/inventory/reservations/status
        GET /v1/inventory/movements
        GET /v1/inventory/stock
        GET /v1/warehouses
        POST /v1/warehouses
    """,
    "customers": """
        POST /v1/users/register
        POST /v1/users/login
        POST /v1/users/token/refresh
        POST /v1/users/logout
        GET /v1/users/me
        PATCH /v1/users/me
        DELETE /v1/users/me
        GET /v1/users/me/export
        POST /v1/users/password/change
        POST /v1/users/password/reset
        POST /v1/users/password/reset/confirm
        GET /v1/users/me/addresses
        POST /v1/users/me/addresses
        GET /v1/users/me/addresses/{address_id}
        PATCH /v1/users/me/addresses/{address_id}
        DELETE /v1/users/me/addresses/{address_id}
        POST /v1/users/email/verify
        POST /v1/users/sessions/revoke
        POST /v1/staff/token
        GET /v1/customers
        GET /v1/customers/{customer_id}
        PATCH /v1/customers/{customer_id}
    """,
    "orders": """
        POST /v1/orders
        POST /v1/orders/quote
        GET /v1/orders
        GET /v1/orders/{order_id}
        POST /v1/orders/{order_id}/cancel
        POST /v1/orders/{order_id}/returns
        POST /v1/orders/{order_id}/returns/{return_id}/receive
        POST /v1/orders/{order_id}/returns/{return_id}/refuse
    """,
    "payments": """
        POST /v1/payments/charge
        POST /v1/payments
        GET /v1/payments/{payment_id}
        GET /v1/payments
        POST /v1/payments/{payment_id}/refund
        POST /v1/payments/webhooks/{provider}
    """,
    "shipping": """
        POST /v1/shipments
        GET /v1/shipments
        GET /v1/shipments/{shipment_id}
        PATCH /v1/shipments/{shipment_id}
        GET /v1/shipments/track/{tracking_no}
    """,
    "notifications": """
        POST /v1/notifications
        GET /v1/notifications
        GET /v1/notifications/{notification_id}
        POST /v1/notifications/{notification_id}/retry
    """,
}

# Served beyond the contract's tables.
ADDITIONS = {
    "catalog": """
        PATCH /v1/imports/{import_id}
        GET /v1/products/export
        GET /v1/products/prices/export
        GET /v1/inventory/export
        GET /v1/inventory/movements/export
        GET /v1/inventory/stock/export
        GET /v1/orders/export
        GET /v1/customers/export
        POST /v1/customers/import
    """,
    "orders": """
        PATCH /v1/orders/{order_id}
    """,
    "notifications": """
        POST /v1/notifications/{notification_id}/again
    """,
    "inventory": """
        GET /v1/inventory/{inventory_id}
        GET /v1/warehouses/{code}
        PATCH /v1/warehouses/{code}
    """,
    "customers": """
        GET /v1/customers/{customer_id}/addresses
        POST /v1/customers/{customer_id}/addresses
        GET /v1/customers/{customer_id}/addresses/{address_id}
        PATCH /v1/customers/{customer_id}/addresses/{address_id}
        DELETE /v1/customers/{customer_id}/addresses/{address_id}
    """,
}

CREATED = {
    "POST /v1/products",
    "POST /v1/inventory",
    "POST /v1/users/register",
    "POST /v1/orders",
    "POST /v1/orders/{order_id}/returns",
    "POST /v1/shipments",
    "POST /v1/notifications",
    "POST /v1/notifications/{notification_id}/again",
}
ONLY_ACCEPTED = {
    "POST /v1/customers/import",
    "POST /v1/imports",
    "PATCH /v1/imports/{import_id}",
    "POST /v1/imports/{import_id}/apply",
    "POST /v1/imports/{import_id}/undo",
    "POST /v1/products/import",
    "POST /v1/inventory/import",
}
MAY_BE_ACCEPTED = {
    "POST /v1/orders",
    "POST /v1/orders/{order_id}/cancel",
    "POST /v1/orders/{order_id}/returns",
    "POST /v1/orders/{order_id}/returns/{return_id}/receive",
    "POST /v1/payments",
    "POST /v1/payments/charge",
    "POST /v1/payments/{payment_id}/refund",
}
LISTS = {
    "GET /v1/imports/{import_id}/rows",
    "GET /v1/products",
    "GET /v1/products/{product_id}/prices",
    "GET /v1/products/search",
    "GET /v1/categories",
    "GET /v1/inventory",
    "GET /v1/inventory/reservations",
    "GET /v1/inventory/movements",
    "GET /v1/inventory/stock",
    "GET /v1/warehouses",
    "GET /v1/customers",
    "GET /v1/customers/{customer_id}/addresses",
    "GET /v1/users/me/addresses",
    "GET /v1/orders",
    "GET /v1/payments",
    "GET /v1/shipments",
    "GET /v1/notifications",
}


def calls(table: dict[str, str]) -> set[str]:
    return {line.strip() for lines in table.values() for line in lines.strip().splitlines()}


@pytest.fixture(scope="module")
def schema() -> Any:
    answer = Client().get("/schema?format=json")
    assert answer.status_code == 200
    return json.loads(answer.content)


def operations(schema: Any) -> Iterator[tuple[str, Any]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def test_the_schema_is_valid_openapi(schema: Any) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # late: two seconds for each process that collects

    assert schema["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(each_answer_once(schema)).iter_errors()] == []


def each_answer_once(schema: Any) -> Any:
    """The document where an answer that stands there already is a line: most refusals are the same everywhere."""
    once = json.loads(json.dumps(schema))
    seen = []
    for _, operation in operations(once):
        for answer in operation["responses"].values():
            if answer in seen:
                answer.pop("content", None)
            else:
                seen.append(copy.copy(answer))
    return once


def test_contract_and_url_map_agree() -> None:
    served = {f"{method} {route.path}" for route in routes() for method in route.methods}
    assert calls(CONTRACT) - served == set(), "promised, not served"
    assert served - calls(CONTRACT) - calls(ADDITIONS) == set(), "served, not documented"
    assert calls(ADDITIONS) - served == set()


def test_the_schema_shows_what_is_served(schema: Any) -> None:
    assert {call for call, _ in operations(schema)} == calls(CONTRACT) | calls(ADDITIONS)


def test_successes_are_enveloped_and_have_the_contract_s_status(schema: Any) -> None:
    for call, operation in operations(schema):
        statuses = {status for status in operation["responses"] if status.startswith("2")}
        first = "204" if call.startswith("DELETE") else "201" if call in CREATED else "200"
        first = "202" if call in ONLY_ACCEPTED else first
        assert statuses == {first} | ({"202"} if call in MAY_BE_ACCEPTED else set()), call
        if call.endswith("/export") and "/users/" not in call:
            assert set(operation["responses"]["200"]["content"]) == set(TYPES.values()), call
            continue
        for status in statuses - {"204"}:
            answer = operation["responses"][status]["content"]["application/json"]["schema"]
            meta = {"meta"} if call in LISTS else set()
            assert set(answer["required"]) == {"status", "data", "error", "timestamp"} | meta, call
            assert answer["properties"]["status"]["enum"] == ["success"], call
            assert answer["properties"]["data"], call
            assert set(answer["properties"]) == set(answer["required"]), call
        assert "content" not in operation["responses"].get("204", {})


def test_errors_are_documented(schema: Any) -> None:
    for call, operation in operations(schema):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert set(errors) >= {"400", "401", "403", "404", "409", "503"}, call
        for answer in errors.values():
            error = answer["content"]["application/json"]["schema"]
            assert set(error["required"]) == {"status", "data", "error", "code", "details", "timestamp"}, call


def test_bodies_and_keys_are_documented(schema: Any) -> None:
    without = {
        "POST /v1/notifications/{notification_id}/retry",
        "POST /v1/users/sessions/revoke",
        "POST /v1/imports/{import_id}/apply",
        "POST /v1/imports/{import_id}/undo",
    }
    unkeyed = {  # an answer with tokens or about secrets is not remembered
        "POST /v1/users/login",
        "POST /v1/users/logout",
        "POST /v1/users/password/change",
        "POST /v1/users/password/reset",
        "POST /v1/users/password/reset/confirm",
        "POST /v1/users/email/verify",
        "POST /v1/users/sessions/revoke",
        "POST /v1/staff/token",
    }
    keyed = {
        "PATCH /v1/imports/{import_id}",
        "PATCH /v1/inventory/{inventory_id}",
        "PATCH /v1/shipments/{shipment_id}",
        "PATCH /v1/warehouses/{code}",
        "PATCH /v1/products/{product_id}",
        "PUT /v1/products/{product_id}",
    }
    conditional = {
        "DELETE /v1/products/{product_id}",
        "PATCH /v1/products/{product_id}",
        "PUT /v1/products/{product_id}",
        "PATCH /v1/customers/{customer_id}",
        "PATCH /v1/users/me",
        "PATCH /v1/inventory/{inventory_id}",
        "PATCH /v1/shipments/{shipment_id}",
        "PATCH /v1/warehouses/{code}",
    }
    for call, operation in operations(schema):
        method = call.split()[0]
        assert ("requestBody" in operation) == (method in ("POST", "PUT", "PATCH") and call not in without), call
        headers = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"}
        if call == "POST /v1/payments/webhooks/{provider}":
            assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        else:
            takes_key = (method == "POST" and call not in unkeyed) or call in keyed
            expected = {"Idempotency-Key"} if takes_key else set()
            assert headers == expected | ({"If-Match"} if call in conditional else set()), call
        queries = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
        assert (queries >= {"limit", "cursor"}) == (call in LISTS), call


def test_what_views_inherit_is_not_documented(schema: Any) -> None:
    assert "refuses_cards" not in json.dumps(schema)


def test_the_schema_is_made_without_a_warning() -> None:
    with GENERATOR_STATS.silence():
        GENERATOR_STATS.reset()
        SchemaGenerator().get_schema(request=None, public=True)
        told = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    assert told == []


def test_the_docs_page_is_served(client: Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert b"swagger" in page.content.lower()
