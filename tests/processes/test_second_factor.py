"""The second factor over HTTP, as the closed product has it that requires one: from the first login to a lost phone."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import ExitStack

import httpx
import pytest

from tests.support.authenticator import Authenticator, recovery_codes
from tests.support.pages import form_in
from tests.support.product import Product, Running, at_once, wait_until

pytestmark = pytest.mark.e2e

ADMIN = {"email": "root@shop.example", "password": "a long enough secret"}
LOGIN, OWN = "/admin/login/?next=/admin/", "/admin/second-factor/"


class Browser(httpx.Client):
    def __init__(self, product: Product) -> None:
        super().__init__(base_url=product.url, trust_env=False, timeout=60, follow_redirects=True)

    def send_form(self, page: httpx.Response, *, having: str, **typed: str) -> httpx.Response:
        form = form_in(page.text, having=having)
        return self.post(form.action or str(page.url), data=form.fields | typed, headers={"Referer": str(page.url)})

    def password(self) -> httpx.Response:
        typed = {"username": ADMIN["email"], "password": ADMIN["password"]}
        return self.send_form(self.get(LOGIN), having="username", **typed)

    def code(self, code: str) -> httpx.Response:
        return self.send_form(self.password(), having="code", code=code)

    def is_in(self) -> bool:
        return "<h1>Today</h1>" in self.get("/admin/").text


def test_from_the_first_login_to_a_lost_phone(own_product: Running) -> None:
    closed = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_SECURE_COOKIES": "0", "ECI_STAFF_2FA": "required"}
    admin = {"ECI_ADMIN_EMAIL": ADMIN["email"], "ECI_ADMIN_PASSWORD": ADMIN["password"]}
    with own_product(**closed, **admin) as product, ExitStack() as opened:
        ann, thief, friend = (opened.enter_context(Browser(product)) for _ in range(3))
        page = ann.password()
        assert "until then there is nothing else to do here" in page.text
        assert not ann.is_in()
        app = Authenticator(page.text)
        [picture] = re.findall(r'src="(data:image/svg\+xml[^"]+)"', page.text)
        assert "data:" in page.headers["Content-Security-Policy"]
        assert len(picture) > 1000
        codes = recovery_codes(ann.send_form(page, having="code", code=app.code()).text)
        assert len(codes) == 10
        assert ann.is_in()
        ann.send_form(ann.get("/admin/"), having="csrfmiddlewaretoken")  # the one form of the page: log out
        assert not ann.is_in()

        used = app.code()
        ann.code(used)
        assert ann.is_in()
        assert "was used already" in thief.code(used).text, "a replay"
        asked = product.api.post("/v1/staff/token", ADMIN)
        assert (asked.status, asked.code) == (401, "second_factor_required")
        once = at_once([lambda: product.api.post("/v1/staff/token", ADMIN | {"otp": codes[0]}).status] * 6, 6)
        assert Counter(once) == {200: 1, 401: 5}, "one code, six at once"
        thief.code(codes[0])
        friend.code(codes[1])
        assert (thief.is_in(), friend.is_in()) == (False, True)

        reset = product.manage("reset_second_factor", ADMIN["email"])
        assert reset.returncode == 0, reset.stderr
        assert (ann.is_in(), friend.is_in()) == (False, False)
        assert "set yours up" in ann.password().text.lower()
        mails = wait_until(lambda: _mails(product, 2), 60, "a mail for the device, and one for its removal")
        assert any("was set up" in mail for mail in mails) and any("was removed" in mail for mail in mails)


def _mails(product: Product, number: int) -> list[str]:
    found = [path.read_text() for path in (product.data_dir / "mail").glob("*")]
    mails = [mail for text in found for mail in text.split("-" * 79) if f"To: {ADMIN['email']}" in mail]
    return mails if len(mails) >= number else []
