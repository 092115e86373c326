"""Staff's second factor: set up, asked for, never good twice, and not to be had with a password or a session alone."""

from __future__ import annotations

import io
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.staff import accounts, groups, mails
from config.staff.models import Trail
from eci import staff_confirm
from tests.support.api import Answer, Api
from tests.support.authenticator import Authenticator, recovery_codes
from tests.support.pages import Browser

pytestmark = pytest.mark.usefixtures("closed", "own_counters")

PASSWORD = "a long enough secret"
LOGIN, CODE, OWN = "/admin/login/", "/admin/login/code/", "/admin/second-factor/"
TOKEN = "/v1/staff/token"


def make(email: str = "ann@shop.example", group: str = "", *, admin: bool = True) -> User:
    groups.make_groups()
    own = (group,) if group else ()
    return accounts.make_account(
        email=email, password=PASSWORD, groups=own, admin=admin, source="It", actor="command:root"
    )


def password(browser: Client, email: str = "ann@shop.example", then: str = "/admin/") -> Any:
    return browser.post(LOGIN, {"username": email, "password": PASSWORD, "next": then})


def is_in(browser: Client) -> bool:
    pages = [browser.get(page).status_code for page in ("/admin/", "/staff/reconcile", "/admin/auth/user/")]
    pages.append(browser.get("/v1/customers", headers={"Accept": "application/json"}).status_code)
    assert pages in ([200] * 4, [302] * 3 + [401]), pages
    return pages[0] == 200


def set_up(browser: Client) -> tuple[Authenticator, list[str]]:
    """Sign in with the password, set up a device, and read the recovery codes."""
    browser.force_login(User.objects.get(username="ann@shop.example"))
    app = Authenticator(browser.get(OWN).content.decode())
    page = browser.post(OWN, {"code": app.code()})
    return app, recovery_codes(page.content.decode())


def token(otp: str | None = None, **more: str) -> Answer:
    body = {"email": "ann@shop.example", "password": PASSWORD} | more
    return Api().post(TOKEN, body if otp is None else body | {"otp": otp})


class TestSettingOneUp:
    @pytest.mark.any_engine
    def test_a_picture_a_code_and_ten_recovery_codes_shown_once(self) -> None:
        make()
        ann = Client()
        password(ann)
        page = ann.get(OWN)
        assert 'src="data:image/svg+xml' in page.content.decode()
        assert "img-src 'self' data:" in page.headers["Content-Security-Policy"]
        app = Authenticator(page.content.decode())
        assert b"not the code" in ann.post(OWN, {"code": "000000"}).content
        assert not TOTPDevice.objects.exists()
        shown = ann.post(OWN, {"code": app.code()})
        codes = recovery_codes(shown.content.decode())
        assert len(set(codes)) == 10
        assert "no-store" in shown.headers["Cache-Control"]
        assert "10 recovery codes left" in ann.get(OWN).content.decode()
        assert codes[0] not in ann.get(OWN).content.decode()
        kept = str(list(StaticToken.objects.values_list("token", flat=True)))
        assert not [code for code in codes if code in kept or code.replace("-", "").upper() in kept]
        assert is_in(ann)

    @pytest.mark.any_engine
    def test_the_owner_gets_a_mail_and_the_trail_a_line(self) -> None:
        ann = make()
        browser = Client()
        set_up(browser)
        assert mails.send_due() == 1
        browser.post(f"{OWN}remove/")
        assert (mails.send_due(), mails.send_due()) == (1, 0)
        assert [(one.to, one.subject.rpartition(" for ")[0]) for one in mail.outbox[:1]] == [
            (["ann@shop.example"], "A second factor was set up")
        ]
        assert "was removed" in mail.outbox[1].subject
        told = [line.action for line in Trail.objects.filter(thing=f"account:{ann.pk}").order_by("pk")]
        assert told == ["account created", "second factor set up", "second factor removed"]

    @pytest.mark.any_engine
    def test_a_mail_server_that_is_away_gets_the_mail_later(self, settings: Any) -> None:
        make()
        set_up(Client())
        backend = settings.EMAIL_BACKEND
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
            "django.core.mail.backends.smtp.EmailBackend",
            "127.0.0.1",
            9,
        )
        assert mails.send_due() == 0
        settings.EMAIL_BACKEND = backend
        assert mails.send_due() == 0, "not at once again"
        mails.SecurityMail.objects.update(next_at=mails.Now())
        assert mails.send_due() == 1

    def test_other_sessions_and_tokens_of_before_end(self) -> None:
        make()
        before, other = token(), Client()
        password(other)
        assert is_in(other)
        ann = Client()
        app, _ = set_up(ann)
        assert is_in(ann)
        assert not is_in(other)
        bearer = {"Authorization": f"Bearer {before.data['access']}"}
        assert Api().get("/v1/customers", **bearer).status == 401
        assert Api().post("/v1/users/token/refresh", {"refresh": before.data["refresh"]}).status == 401
        assert token(app.code()).status == 200


class TestSigningIn:
    @pytest.mark.any_engine
    def test_the_password_alone_lets_nobody_in(self) -> None:
        make()
        app, _ = set_up(Client())
        ann = Client()
        assert password(ann, then="/admin/auth/group/").headers["Location"] == CODE
        assert not is_in(ann)
        assert ann.get(OWN).status_code == 302
        assert b"wrong" in ann.post(CODE, {"code": "123"}).content
        assert not is_in(ann)
        assert Client().post(CODE, {"code": app.code()}).headers["Location"] == LOGIN, "nobody without the password"

    def test_a_code_works_once_at_all_doors(self) -> None:
        make()
        app, _ = set_up(Client())
        ann, code = Client(), app.code()
        password(ann, then="/admin/auth/group/")
        assert ann.post(CODE, {"code": f" {code[:3]} {code[3:]} "}).headers["Location"] == "/admin/auth/group/"
        assert is_in(ann)
        thief = Client()
        password(thief)
        assert b"was used already" in thief.post(CODE, {"code": code}).content
        assert not is_in(thief)
        assert token(code).status == 401
        TOTPDevice.objects.get().throttle_reset()
        assert token(app.shown[0]).status == 401, "nor does the one that set it up"

    def test_a_recovery_code_works_once(self) -> None:
        make()
        _, codes = set_up(Client())
        for code in (codes[0], codes[1].upper().replace("-", " ")):
            browser = Client()
            password(browser)
            assert browser.post(CODE, {"code": code}).status_code == 302
            assert is_in(browser)
            password(thief := Client())
            assert thief.post(CODE, {"code": code}).status_code == 200
            assert token(code).status == 401
        assert "8 recovery codes left" in browser.get(OWN).content.decode()
        assert Trail.objects.filter(action="recovery code used").count() == 2
        made = browser.post(f"{OWN}recovery-codes/").content.decode()
        assert token(codes[2]).status == 401, "new codes make the old ones void"
        assert token(recovery_codes(made)[0]).status == 200

    def test_codes_cannot_be_guessed(self) -> None:
        """Nor from many addresses: after each wrong code the device waits longer. A recovery code ends that."""
        make()
        with time_machine.travel("2026-12-01T08:00:00Z") as clock:
            app, codes = set_up(Client())
            clock.shift(3600)
            ann = Client()
            password(ann)
            for number in range(3):
                Client(headers={"X-Forwarded-For": f"6.6.6.{number}"})
                ann.post(CODE, {"code": "000000"})
                clock.shift(4)
            ann.post(CODE, {"code": "000000"})
            clock.shift(4)
            assert token(app.code()).status == 401, "not even a right one"
            clock.shift(30)
            assert token(app.code()).status == 200
            token("000000")
            assert token(codes[0]).status == 200
            assert token(app.code()).status == 200

    def test_wrong_codes_count_as_wrong_passwords_do(self) -> None:
        make()
        set_up(Client())
        ann = Client()
        password(ann)
        tries = [ann.post(CODE, {"code": "000000"}).status_code for _ in range(12)]
        assert tries == [200] * 10 + [429] * 2
        assert token("000000").status == 429

    @pytest.mark.any_engine
    def test_between_password_and_code_lie_ten_minutes_and_the_same_password(self) -> None:
        user = make()
        with time_machine.travel("2026-12-01T08:00:00Z") as clock:
            app, _ = set_up(Client())
            late, changed = Client(), Client()
            password(late)
            clock.shift(601)
            assert late.post(CODE, {"code": app.code()}).headers["Location"] == LOGIN
            password(changed)
            user.set_password("another good secret")
            user.save()
            assert changed.post(CODE, {"code": app.code()}).headers["Location"] == LOGIN


class TestTheToken:
    @pytest.mark.any_engine
    def test_asks_for_the_code_after_the_right_password_only(self) -> None:
        make()
        app, _ = set_up(Client())
        asked = token()
        assert (asked.status, asked.code) == (401, "second_factor_required")
        assert [token(password="wrong", otp=otp).code for otp in ("", "000000")] == ["not_authenticated"] * 2
        assert [token().code for _ in range(12)] == ["second_factor_required"] * 12, "a right password is no guess"
        given = token(app.code())
        assert given.status == 200
        again = Api().post("/v1/users/token/refresh", {"refresh": given.data["refresh"]})
        assert again.status == 200, "a login goes on without another code"
        assert Api().get("/v1/customers", Authorization=f"Bearer {again.data['access']}").status == 200

    def test_counts_wrong_codes_as_wrong_passwords(self) -> None:
        make()
        set_up(Client())
        answers = [token("000000") for _ in range(12)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        assert answers[0].code == "not_authenticated"

    @pytest.mark.parametrize("otp", [5, None, "x" * 201, "1\x00", "١٢٣٤٥٦", "9" * 200])
    def test_takes_whatever_is_sent_as_a_code(self, otp: Any) -> None:
        make()
        set_up(Client())
        assert Api().post(TOKEN, {"email": "ann@shop.example", "password": PASSWORD, "otp": otp}).status in (400, 401)


class TestRequired:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any) -> None:
        settings.ECI_STAFF_2FA = "required"

    @pytest.mark.any_engine
    def test_without_a_device_staff_can_only_set_one_up(self) -> None:
        make()
        asked = token()
        assert (asked.status, asked.code) == (401, "second_factor_required")
        ann = Client()
        assert password(ann).headers["Location"] == CODE
        page = ann.get(CODE).content.decode()
        assert not is_in(ann)
        assert ann.get(OWN).status_code == 302
        app = Authenticator(page)
        shown = ann.post(CODE, {"code": app.code()}).content.decode()
        assert len(recovery_codes(shown)) == 10
        assert 'href="/admin/"' in shown
        assert is_in(ann)
        assert token(app.code()).status == 200
        ann.post("/admin/logout/")
        assert not is_in(ann)

    @pytest.mark.any_engine
    def test_logins_of_before_end(self, settings: Any) -> None:
        settings.ECI_STAFF_2FA = "optional"
        make()
        ann, before = Client(), token().data
        password(ann)
        bearer = {"Authorization": f"Bearer {before['access']}"}
        assert is_in(ann)
        assert Api().get("/v1/customers", **bearer).status == 200
        settings.ECI_STAFF_2FA = "required"
        assert not is_in(ann)
        assert Api().get("/v1/customers", **bearer).status == 401
        assert Api().post("/v1/users/token/refresh", {"refresh": before["refresh"]}).status == 401

    @pytest.mark.any_engine
    def test_machines_go_on_with_their_passwords(self) -> None:
        make("erp@shop.example", "services", admin=False)
        make("ann@shop.example", "support staff", admin=False)
        given = token(email="erp@shop.example")
        assert given.status == 200
        bearer = {"Authorization": f"Bearer {given.data['access']}"}
        assert Api().get("/v1/inventory", **bearer).status != 401
        both = User.objects.get(username="ann@shop.example")
        both.groups.add(groups.Group.objects.get(name="services"))
        given = token()
        assert given.status == 200, "whatever other groups it is in"
        bearer = {"Authorization": f"Bearer {given.data['access']}"}
        assert Api().get("/v1/customers", **bearer).status == 403, "but it may do what machines may"


@pytest.mark.any_engine
def test_switched_off_nobody_is_asked(settings: Any) -> None:
    make()
    app, _ = set_up(Client())
    settings.ECI_STAFF_2FA = "off"
    ann = Client()
    assert password(ann).headers["Location"] == "/admin/"
    assert is_in(ann)
    assert ann.get(OWN).status_code == 404
    assert token().status == 200
    settings.ECI_STAFF_2FA = "optional"
    assert not is_in(ann)
    assert token(app.code()).status == 200


class TestDangerousActs:
    """More than 15 minutes after signing in, what others could use to stay asks for the password, and for a code."""

    @pytest.fixture
    def ann(self) -> Client:
        make()
        return Browser()

    def later(self, browser: Client) -> None:
        session = browser.session
        session[staff_confirm.PROVED_AT] -= staff_confirm.FRESH
        session.save()

    @pytest.mark.any_engine
    def test_ask_for_password_and_code_and_then_do_what_was_sent(self, ann: Client) -> None:
        app, _ = set_up(ann)
        self.later(ann)
        new = {"username": "eve", "email": "", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
        asked = ann.post("/admin/auth/user/add/", new)
        assert asked.status_code == 403
        assert "no-store" in asked.headers["Cache-Control"]
        assert 'name="username" value="eve"' in asked.content.decode()
        sent = new | {staff_confirm.ASKED_BY: "POST"}
        no_code = {staff_confirm.PASSWORD: PASSWORD}
        for wrong in (no_code, no_code | {staff_confirm.CODE: "000000"}, {staff_confirm.PASSWORD: "wrong"}):
            assert ann.post("/admin/auth/user/add/", sent | wrong).status_code == 403
        assert not User.objects.filter(username="eve").exists()
        TOTPDevice.objects.get().throttle_reset()  # as after a while
        assert ann.post("/admin/auth/user/add/", sent | no_code | {staff_confirm.CODE: app.code()}).status_code == 302
        assert User.objects.filter(username="eve").exists()
        assert ann.get("/admin/auth/user/add/").status_code == 200, "good for another while"

    @pytest.mark.any_engine
    def test_are_asked_about_before_the_form_is_filled_in(self, ann: Client) -> None:
        password(ann)
        self.later(ann)
        mine = f"/admin/auth/user/{User.objects.get().pk}"
        for page in (OWN, "/admin/auth/group/add/", f"{mine}/change/", f"{mine}/password/", f"{mine}/delete/"):
            assert ann.get(page).status_code == 403
        assert ann.get("/admin/auth/user/").status_code == 200, "a look needs nothing"
        proof = {staff_confirm.PASSWORD: PASSWORD, staff_confirm.ASKED_BY: "GET"}
        assert ann.post(page, proof).headers["Location"] == page
        assert ann.get(page).status_code == 200

    @pytest.mark.parametrize("act", ["remove/", "recovery-codes/"])
    def test_taking_the_second_factor_away_is_one(self, act: str, ann: Client) -> None:
        set_up(ann)
        self.later(ann)
        assert ann.post(f"{OWN}{act}").status_code == 403
        assert TOTPDevice.objects.count() == 1
        assert StaticToken.objects.count() == 10

    def test_wrong_passwords_are_counted(self, ann: Client) -> None:
        password(ann)
        self.later(ann)
        guesses = [ann.post(OWN, {staff_confirm.PASSWORD: "guess"}).status_code for _ in range(12)]
        assert guesses == [403] * 10 + [429] * 2
        assert password(Client()).status_code == 429


class TestNobodyElse:
    @pytest.mark.any_engine
    def test_reads_the_keys_of_devices(self) -> None:
        """Not an administrator either, by no page and no question to a list."""
        make()
        boss = Client()
        set_up(boss)
        key = TOTPDevice.objects.get().key
        for page in ("/admin/otp_totp/totpdevice/", "/admin/otp_static/staticdevice/"):
            assert boss.get(page).status_code == 404
        for question in ("totpdevice__key__startswith", "totpdevice__key", "staticdevice__token_set__token__contains"):
            assert boss.get("/admin/auth/user/", {question: key[:1]}).status_code == 302, "refused"

    def test_a_command_lets_somebody_in_again_who_lost_everything(self) -> None:
        ann = make()
        browser = Client()
        set_up(browser)
        out = io.StringIO()
        call_command("reset_second_factor", "ann@shop.example", stdout=out)
        assert "password alone" in out.getvalue()
        assert not is_in(browser)
        assert token().status == 200
        line = Trail.objects.get(thing=f"account:{ann.pk}", action="second factor removed")
        assert line.actor.startswith("command:")
        assert not StaticToken.objects.exists()
        for address, why in (("ann@shop.example", "has no second factor"), ("eve@shop.example", "No account")):
            with pytest.raises(CommandError, match=why):
                call_command("reset_second_factor", address)
