"""Security headers: of pages, of JSON, and by setting."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support import people
from tests.support.shop import Shop

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


def test_of_what_has_a_tag_only_what_everybody_may_read_is_kept(shop: Shop) -> None:
    product, person = f"/v1/products/{shop.product_id}", f"/v1/customers/{shop.customer_id}"
    stock = shop.api.get("/v1/inventory").data[0]["inventory_id"]
    assert shop.api.get(product).headers["Cache-Control"] == "no-cache", "kept, and asked for each time"
    for url in (person, f"/v1/inventory/{stock}"):
        answer = shop.api.get(url)
        assert answer.headers["Cache-Control"] == "no-store"
        again = Client().get(url, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again["Cache-Control"]) == (304, "no-store")


def test_no_page_is_kept(shop: Shop) -> None:
    """The browser of a shared desk shows nobody's orders after they have signed out."""
    boss = Client()
    boss.force_login(User.objects.create_superuser("ann", "ann@example.com", "secret-123"))
    for url in (
        *("/", "/docs", "/staff/reconcile", "/admin/", "/admin/customers/customer/", "/v1/orders"),
        *(f"/v1/customers/{shop.customer_id}", f"/v1/products/{shop.product_id}"),
        f"/admin/customers/customer/{shop.customer_id}/change/",
    ):
        answer = boss.get(url, headers={"Accept": "text/html"})
        assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (200, True), url


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
    settings.ECI_TRUSTED_PROXIES = ["127.0.0.1"]
    assert Client().get("/v1/products", headers={"X-Forwarded-Proto": "https"}).status_code == 200


FORWARDED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "444",
    "Forwarded": "proto=https;host=evil.example",
}


@pytest.mark.parametrize(
    ("caller", "believed"), [("10.1.2.3", True), ("127.0.0.1", False), ("::1", False), ("", False)]
)
def test_what_a_proxy_says_is_believed_of_trusted_ones_only(settings: Any, caller: str, believed: bool) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 86400
    settings.USE_X_FORWARDED_HOST = settings.USE_X_FORWARDED_PORT = True  # even if somebody switches them on
    settings.ECI_TRUSTED_PROXIES = ["10.0.0.0/8"]
    answer = Client(REMOTE_ADDR=caller).get("/v1/products", headers=FORWARDED)
    assert ("Strict-Transport-Security" in answer) == believed
    request = answer.wsgi_request
    assert request.build_absolute_uri("/") == ("https://evil.example/" if believed else "http://testserver/")


@pytest.mark.parametrize(
    "host", ["evil.example", "a b", "localhost:80:80", "localhost/x", "[::1", "\u00fc", "localhost\x00"]
)
def test_a_bad_host_is_a_400_and_no_error(settings: Any, host: str, caplog: pytest.LogCaptureFixture) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    for url in ("/v1/products", "/admin/login/", "/", "/health"):
        answer = Client(raise_request_exception=False).get(url, headers={"Host": host})
        assert answer.status_code == 400
        assert answer.json()["code"] == "validation_error"
        assert "evil" not in answer.content.decode()
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere_after_signing_in(where: str) -> None:
    User.objects.create_superuser("ann", "ann@example.com", "secret-123")
    form = {"username": "ann", "password": "secret-123", "next": where}
    answer = Client().post("/admin/login/", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_no_script_reads_a_cookie() -> None:
    User.objects.create_superuser("ann", "ann@example.com", "secret-123")
    answer = Client().post("/admin/login/", {"username": "ann", "password": "secret-123"})
    cookies = {name: (cookie["httponly"], cookie["samesite"]) for name, cookie in answer.cookies.items()}
    assert cookies == {"csrftoken": (True, "Lax"), "sessionid": (True, "Lax")}


CALLS = [
    *(("GET", "/v1/products", 200), ("GET", "/v1/orders?limit=1", 200), ("HEAD", "/v1/products", 200)),
    *(("GET", "/v1/nothing", 404), ("GET", "/v1/orders/ORD-1", 404), ("GET", "/v1/products?limit=0", 400)),
    *(("DELETE", "/v1/orders", 405), ("POST", "/v1/orders", 400), ("OPTIONS", "/v1/orders", 200)),
    *(("GET", "/api/v1/orders/v1/orders", 200), ("GET", "/v1/health", 200), ("GET", "/docs", 200)),
]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_call_without_a_cookie_is_answered_as_one_with(shop: Shop, settings: Any, accept: str) -> None:
    """It passes by what pages need."""
    settings.ECI_OPEN = False
    token = f"Bearer {people.staff('P').login['access']}"
    changing = ("Content-Security-Policy", "Content-Length", "RateLimit-Remaining", "RateLimit-Reset")

    def asked(method: str, path: str, authorization: str, cookie: str) -> tuple[int, dict[str, str], str]:
        headers = {"Authorization": authorization, "Accept": accept, "X-Request-ID": "a", "Cookie": cookie}
        answer = Client().generic(method, path, content_type="application/json", headers=headers)
        text = "" if "html" in answer["Content-Type"] else re.sub(r'"timestamp": ?"[^"]*"', "", answer.content.decode())
        kept = {name: value for name, value in answer.headers.items() if name not in changing}
        return answer.status_code, kept, text

    for method, path, status in CALLS:
        found = asked(method, path, token, "")
        assert found[0] == status, path
        assert found == asked(method, path, token, "a=b")
        assert asked(method, path, "Bearer wrong", "") == asked(method, path, "Bearer wrong", "a=b")
