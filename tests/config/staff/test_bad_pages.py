"""Whatever is sent to staff's pages beside the admin's lists and forms: a page in words, never a failure."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client

from contexts.orders.public.api import orders

pytestmark = [pytest.mark.long, pytest.mark.any_engine]

TEXTS = ["", " ", "\x00", "a\x00b", "a\nb", "\u200b", "\ufffd", "x" * 100_000, "٣", "'; --", "<script>"]


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "secret-123"))
    return client


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:9]))
def test_whatever_is_typed_at_the_door(text: str) -> None:
    for data in ({"username": text, "password": "x"}, {"username": "ann", "password": text}, {"next": text}):
        answer = Client().post("/admin/login/", data)
        assert answer.status_code in (200, 429), data
        assert "<form" in answer.content.decode() or answer.status_code == 429
    assert Client().get("/admin/login/", {"next": text}).status_code == 200


@pytest.mark.parametrize("body", [b"\xff\xfe=\xff", b"username=%ED%A0%80", b"&&==&", b"username=" + b"%00" * 99])
def test_bytes_that_are_no_text(body: bytes, boss: Client) -> None:
    for url in ("/admin/login/", "/staff/reconcile/orders", "/admin/auth/group/add/"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
            answer = (Client() if "login" in url else boss).post(url, body, content_type=kind)
            assert answer.status_code < 500, (url, kind)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:9]))
def test_whatever_is_given_as_a_reason_or_an_item(text: str, boss: Client) -> None:
    answer = boss.post("/staff/reconcile/orders", {"reason": text})
    assert answer.status_code == 302
    if not text.strip() or "\x00" in text or "\n" in text or len(text) > 300 or text == "\u200b":
        assert orders.switch().taking
        assert [str(message) for message in get_messages(answer.wsgi_request)]
    orders.start(actor="test")


def test_an_item_that_is_not_there(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from config.books import audit

    monkeypatch.setattr(audit, "PAUSE", 0)
    answer = boss.post("/staff/reconcile/item", {"item": "x" * 100_000})
    assert answer.status_code in (302, 404)


@pytest.mark.parametrize("query", ["?last=%FF", "?e=1", "?p=x&o=999", "?%00=%00"])
def test_addresses_of_pages_without_parameters(query: str, boss: Client) -> None:
    for page in ("/", "/staff/reconcile", "/admin/", "/admin/catalog/", "/admin/password_change/", "/admin/jsi18n/"):
        assert boss.get(page + query).status_code == 200, page


@pytest.mark.parametrize("query", ["", "?app_label=x&model_name=y&field_name=z", "?term=%00", "?app_label=catalog"])
def test_the_admins_own_helpers(query: str, boss: Client) -> None:
    assert boss.get(f"/admin/autocomplete/{query}").status_code in (200, 400, 403)
    for page in ("/admin/r/9/x/", "/admin/r/x/y/", "/admin/nothing/", "/admin/catalog/nothing/", "/admin/r/1/%00/"):
        assert boss.get(page + query).status_code in (302, 404), page
