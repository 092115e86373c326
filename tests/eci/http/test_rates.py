"""Rate limits as callers of the API meet them."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as live
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from config import limits
from eci.http.rates import client_address
from eci.identity.auth import Caller
from eci.identity.roles import Role, only
from eci.limits import Rate
from tests.support.routes import routes

pytestmark = pytest.mark.usefixtures("own_counters")


@pytest.fixture
def scarce(settings: Any) -> None:
    settings.ECI_RATE_LIMITS = live.ECI_RATE_LIMITS | {
        "read": Rate(account=3, address=5, seconds=60),
        "refused": Rate(account=0, address=2, seconds=60),
    }


def signed_in(name: str, role: Role) -> APIClient:
    number = int(name.split(":")[1]) if role == Role.CUSTOMER else None
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(Caller(name=name, roles=only(role), customer_id=number))
    return client


def statuses(client: Client, times: int, url: str = "/v1/products", **more: Any) -> list[int]:
    return [client.get(url, **more).status_code for _ in range(times)]


def test_an_address_is_throttled_and_told_until_when(scarce: None) -> None:
    assert statuses(Client(), 5) == [200] * 5
    refused = Client().get("/v1/products")
    assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert refused["RateLimit-Limit"] == "5"
    assert refused["RateLimit-Remaining"] == "0"
    assert refused["RateLimit-Reset"] == refused["Retry-After"]
    assert refused["RateLimit-Policy"] == "5;w=60"


def test_what_is_left_stands_in_every_answer(scarce: None) -> None:
    assert [Client().get("/v1/products")["RateLimit-Remaining"] for _ in range(2)] == ["4", "3"]
    assert Client().get("/v1/products/7")["RateLimit-Remaining"] == "2", "in a 404 too"


def test_another_address_has_its_own(scarce: None) -> None:
    statuses(Client(), 6)
    assert statuses(Client(REMOTE_ADDR="10.0.0.9"), 1) == [200]


def test_an_account_is_throttled_wherever_it_calls_from(scarce: None) -> None:
    client = signed_in("customer:1", Role.CUSTOMER)
    assert [client.get("/v1/products", REMOTE_ADDR=f"10.0.0.{n}").status_code for n in range(4)] == [200] * 3 + [429]
    assert statuses(signed_in("customer:2", Role.CUSTOMER), 1) == [200]


@pytest.mark.parametrize("role", [Role.CATALOG, Role.STOCK, Role.SUPPORT, Role.SERVICE, Role.ADMIN])
def test_staff_and_services_are_not_limited(scarce: None, role: Role) -> None:
    client = signed_in("somebody", role)
    assert statuses(client, 8) == [200] * 8
    assert "RateLimit-Limit" not in client.get("/v1/products")


def test_open_mode_is_not_limited(scarce: None, settings: Any) -> None:
    settings.ECI_OPEN = True
    assert statuses(Client(), 8) == [200] * 8


def test_forged_tokens_are_counted(scarce: None) -> None:
    assert statuses(Client(headers={"Authorization": "Bearer forged"}), 3) == [401, 401, 429]


def test_no_class_of_a_view_is_unknown() -> None:
    used = {route.view.rate_class(method) for route in routes() for method in route.methods}
    assert used <= set(limits.DEFAULTS)
    assert {"order", "quote", "charge", "login", "register", "reset"} <= used


def test_settings() -> None:
    parsed = limits.parse("order=1/2/3,read=0")
    assert parsed["order"] == Rate(account=1, address=2, seconds=3)
    assert (parsed["read"].account, parsed["read"].address) == (0, 0)
    assert parsed["write"] == limits.DEFAULTS["write"]
    assert {(rate.account, rate.address) for rate in limits.parse("off").values()} == {(0, 0)}


@pytest.mark.parametrize(
    "wrong", ["order", "order=1", "order=1/2", "orders=1/2/3", "order=a/b/c", "order=1/2/0", "order=-1/2/3"]
)
def test_wrong_settings_are_refused(wrong: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        limits.parse(wrong)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ([], None, "10.0.0.1"),
        ([], "6.6.6.6", "10.0.0.1"),
        (["10.0.0.0/8"], "6.6.6.6", "6.6.6.6"),
        (["10.0.0.0/8"], "1.1.1.1, 6.6.6.6", "6.6.6.6"),
        (["10.0.0.0/8"], "1.1.1.1, 6.6.6.6, 10.0.0.2", "6.6.6.6"),
        (["10.0.0.0/8"], "nonsense", "10.0.0.1"),
        (["10.0.0.0/8"], "6.6.6.6, nonsense", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (["10.0.0.0/8"], "::ffff:6.6.6.6", "6.6.6.6"),
        (["10.0.0.0/8"], "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (["192.168.0.1/32"], "6.6.6.6", "10.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_as_far_as_proxies_are_trusted(
    settings: Any, trusted: list[str], forwarded: str | None, expected: str
) -> None:
    settings.ECI_TRUSTED_PROXIES = trusted
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.1")) == expected
