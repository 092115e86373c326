"""Locking an account of staff ends its logins for ever."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.api import Api
from tests.support.people import PASSWORD, staff

pytestmark = pytest.mark.usefixtures("closed")


@pytest.mark.parametrize("right", ["is_active", "is_staff"])
@pytest.mark.parametrize("two_factors", ["off", "optional"])
def test_an_unlocked_account_signs_in_anew(settings: pytest.FixtureRequest, right: str, two_factors: str) -> None:
    settings.ECI_STAFF_2FA = two_factors  # type: ignore[attr-defined]
    ann, bob = staff("P", "ann@shop.example"), staff("P", "bob@shop.example")
    pages = {name: Client() for name in ("ann", "bob")}
    for name, browser in pages.items():
        form = {"username": f"{name}@shop.example", "password": PASSWORD, "next": "/admin/"}
        assert browser.post("/admin/login/", form).status_code == 302
    user = User.objects.get(username="ann@shop.example")
    for locked in (True, False):
        setattr(user, right, not locked)
        user.save(update_fields=[right])
        assert ann.get("/v1/orders").status == 401
        refresh = Api().post("/v1/users/token/refresh", {"refresh": ann.login["refresh"]})
        assert refresh.status == 401
        assert pages["ann"].get("/admin/").status_code == 302
    assert bob.get("/v1/orders").status == 200
    assert pages["bob"].get("/admin/").status_code == 200
    anew = Api().post("/v1/staff/token", {"email": "ann@shop.example", "password": PASSWORD}).data
    user.first_name = "Ann"
    user.save()
    assert Api().get("/v1/orders", Authorization=f"Bearer {anew['access']}").status == 200
