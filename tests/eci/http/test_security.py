"""Security headers: of pages, of JSON, and by setting."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from tests.support.api import Api

pytestmark = pytest.mark.any_engine

STORE = "https://store.example"


def policy(answer: Any) -> dict[str, str]:
    return dict(rule.strip().partition(" ")[::2] for rule in answer["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize("url", ["/", "/docs", "/admin/login/", "/v1/products", "/v1/nothing", "/health"])
def test_every_answer_is_guarded(url: str) -> None:
    answer = Client().get(url)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["X-Frame-Options"] == "DENY"
    assert "camera=()" in answer["Permissions-Policy"]
    assert policy(answer)["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("url", ["/", "/docs", "/admin/login/", "/v1/products"])
def test_a_page_runs_only_what_our_own_host_serves(url: str) -> None:
    answer = Client().get(url, headers={"Accept": "text/html"})
    assert answer["Content-Type"].startswith("text/html")
    rules = policy(answer)
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules, "scripts fall under default-src"
    assert "unsafe" not in answer["Content-Security-Policy"]
    page = answer.content.decode()
    assert not re.findall(r"<script(?![^>]*(src=|type=\"application/json\"))[^>]*>", page), (
        "no script in the page itself"
    )
    assert all("nonce=" in style for style in re.findall(r"<style[^>]*>", page))
    assert not re.findall(r"\son[a-z]+=", page)
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.replace('href="https://www.django-rest', "")), (
        "ours alone"
    )


def test_the_nonce_is_new_for_every_page() -> None:
    def nonce() -> str:
        return policy(Client().get("/"))["style-src"]

    assert nonce() != nonce()


def test_json_may_load_nothing_and_is_kept_by_no_cache() -> None:
    answer = Client().get("/v1/products")
    assert policy(answer)["default-src"] == "'none'"
    assert answer["Cache-Control"] == "no-store"


def test_what_has_a_tag_may_be_kept(api: Api) -> None:
    product_id = api.post("/v1/products", {"sku": "A", "name": "A", "price": 1}).data["product_id"]
    assert "Cache-Control" not in api.get(f"/v1/products/{product_id}").headers


def test_other_origins_are_not_let_in() -> None:
    answer = Client().get("/v1/products", headers={"Origin": STORE})
    assert "Access-Control-Allow-Origin" not in answer


def test_an_origin_is_let_in_by_setting(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [STORE]
    answer = Client().get("/v1/products", headers={"Origin": STORE})
    assert answer["Access-Control-Allow-Origin"] == STORE
    assert "Access-Control-Allow-Credentials" not in answer
    assert "RateLimit-Remaining" in answer["Access-Control-Expose-Headers"]
    asked = {"Origin": STORE, "Access-Control-Request-Method": "POST"}
    preflight = Client().options("/v1/orders", headers=asked)
    assert (preflight.status_code, preflight["Access-Control-Allow-Origin"]) == (200, STORE)
    assert "idempotency-key" in preflight["Access-Control-Allow-Headers"]
    for url, origin in (("/v1/products", "https://evil.example"), ("/admin/login/", STORE)):
        assert "Access-Control-Allow-Origin" not in Client().get(url, headers={"Origin": origin})


def test_https_by_setting(settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 86400
    assert "Strict-Transport-Security" not in Client().get("/v1/products")
    assert Client().get("/v1/products", secure=True)["Strict-Transport-Security"] == "max-age=86400"
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/v1/products").status_code == 301
    assert Client().get("/health").status_code == 200
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Client().get("/v1/products", headers={"X-Forwarded-Proto": "https"}).status_code == 200
