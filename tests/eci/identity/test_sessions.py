"""Who reads the sessions' table cannot take a session over."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from eci.clock import utcnow

PAGE = "/admin/password_change/"


def browser() -> Client:
    client = Client()
    form = {"username": "ann", "password": "secret-123", "next": PAGE}
    assert client.post("/admin/login/", form).status_code == 302
    return client


def has(cookie: str) -> bool:
    return Client().get(PAGE, headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"}).status_code == 200


def test_the_cookie_s_key_stands_in_no_row_and_a_row_opens_nothing() -> None:
    User.objects.create_superuser("ann", "ann@example.com", "secret-123")
    ann, phone = browser(), browser()
    cookie = ann.cookies[settings.SESSION_COOKIE_NAME].value
    rows = set(Session.objects.values_list("session_key", flat=True))
    assert len(rows) == 2
    assert cookie not in rows
    assert has(cookie)
    assert not any(has(key) for key in rows)
    ann.post("/admin/logout/")
    assert not has(cookie)
    assert phone.get(PAGE).status_code == 200
    assert Session.objects.count() == 1


def test_a_session_from_before_is_over() -> None:
    user = User.objects.create_superuser("ann", "ann@example.com", "secret-123")
    ann = browser()
    data = ann.session.encode(dict(ann.session))
    Session.objects.create(session_key="k" * 32, session_data=data, expire_date=utcnow() + timedelta(days=1))
    assert not has("k" * 32)
    assert User.objects.get() == user
    assert not has('"\\000\\000\\000"')
