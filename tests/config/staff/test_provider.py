"""Staff sign in at an OpenID Connect provider: a real one on this machine, honest or not."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from config import environment
from config.staff import accounts, groups
from config.staff.models import Trail
from eci import staff_confirm
from eci.limits import Rate
from eci.remembered import forget_everything
from tests.support.sign_in_provider import CLIENT, SECRET, SignInProvider

pytestmark = [pytest.mark.any_engine, pytest.mark.usefixtures("closed", "own_counters")]

START, BACK = "/admin/login/provider/", "/admin/login/provider/callback/"
ANN = "ann@shop.example"
PASSWORD = "a long enough secret"


@pytest.fixture
def provider(settings: Any) -> Iterator[SignInProvider]:
    with SignInProvider() as provider:
        settings.ECI_OIDC_ISSUER = provider.issuer
        settings.ECI_OIDC_CLIENT_ID, settings.ECI_OIDC_CLIENT_SECRET = CLIENT, SECRET
        provider.user = {"email": ANN, "email_verified": True}
        yield provider


@pytest.fixture
def ann() -> Client:
    groups.make_groups()
    account(ANN)
    return Client()


def account(email: str, *in_groups: str, admin: bool = True) -> User:
    return accounts.make_account(
        email=email, password=PASSWORD, groups=in_groups, admin=admin, source="It", actor="command:root"
    )


def sign_in(browser: Client, provider: SignInProvider, then: str = "/admin/auth/group/", **changed: str) -> Any:
    return browser.get(BACK, provider.authorize(sent_to(browser.post(START, {"next": then}))) | changed)


def sent_to(page: Any) -> str:
    """Where the page that begins a sign-in leads the browser."""
    assert page.status_code == 200, page.content
    found = re.search('http-equiv="refresh" content="0; url=([^"]+)"', page.content.decode())
    assert found is not None
    return html.unescape(found[1])


def is_in(browser: Client) -> bool:
    return browser.get("/admin/").status_code == 200


def test_whom_the_provider_knows_and_who_has_an_account_gets_in(ann: Client, provider: SignInProvider) -> None:
    assert b'value="Sign in at 127.0.0.1"' in ann.get("/admin/login/?next=/admin/auth/group/").content
    assert sign_in(ann, provider).headers["Location"] == "/admin/auth/group/"
    assert is_in(ann)
    other = Client()
    assert sign_in(other, provider, then="https://evil.example/").headers["Location"] == "/admin/"
    assert provider.answers["/shop/keys"] == provider.answers["/shop/.well-known/openid-configuration"] == 1


def test_without_a_password_there_is_no_other_way_in(
    ann: Client, provider: SignInProvider, settings: Any, tmp_path: Path
) -> None:
    user = User.objects.get()
    user.set_unusable_password()
    user.save()
    refused = ann.post("/admin/login/", {"username": ANN, "password": PASSWORD})
    assert (refused.status_code, is_in(ann)) == (200, False)
    sign_in(ann, provider)
    assert is_in(ann)
    accounts.make_one_time_admin(tmp_path / "admin_password")
    assert User.objects.count() == 1, "she can administer the shop"
    settings.ECI_OIDC_ISSUER = ""
    assert not is_in(ann), "nor one that was open when the provider is taken away"
    assert ann.get(START).status_code == ann.get(BACK).status_code == 404


def test_second_factors_are_the_provider_s_affair(ann: Client, provider: SignInProvider, settings: Any) -> None:
    settings.ECI_STAFF_2FA = "required"
    sign_in(ann, provider)
    assert is_in(ann)
    for _ in range(2):
        ann.post("/admin/logout/")
        assert not is_in(ann)
        asked = ann.post("/admin/login/", {"username": ANN, "password": PASSWORD})
        assert asked.headers["Location"] == "/admin/login/code/", "with the password they are not"


LIES = [
    ({"nonce": "another"}, "not valid"),
    ({"nonce": None}, "not valid"),
    ({"aud": "another shop"}, "not valid"),
    ({"aud": [CLIENT, "another shop"]}, "not valid"),
    ({"aud": [CLIENT, "another shop"], "azp": "another shop"}, "not valid"),
    ({"aud": "another shop", "azp": CLIENT}, "not valid"),
    ({"aud": []}, "not valid"),
    ({"aud": None}, "not valid"),
    ({"azp": "another shop"}, "not valid"),
    ({"iss": "https://evil.example"}, "not valid"),
    ({"iss": None}, "not valid"),
    ({"exp": int(time.time()) - 3600}, "not valid"),
    ({"exp": None}, "not valid"),
    ({"exp": "tomorrow"}, "not valid"),
    ({"iat": int(time.time()) + 3600}, "not valid"),
    ({"iat": None}, "not valid"),
    ({"iat": -1}, "not valid"),
    ({"exp": 10**30}, "not valid"),
    ({"exp": int(time.time()) + 25 * 3600}, "not valid"),
    ({"nbf": int(time.time()) + 3600}, "not valid"),
    ({"sub": None}, "not valid"),
    ({"email_verified": False}, "not verified your e-mail address"),
    ({"email_verified": "true"}, "not verified your e-mail address"),
    ({"email_verified": None}, "not verified your e-mail address"),
    ({"email": None}, "did not say your e-mail address"),
    ({"email": ["ann@shop.example"]}, "did not say your e-mail address"),
    ({"email": " ann@shop.example"}, "did not say your e-mail address"),
    ({"email": "ann@shop.example\n"}, "did not say your e-mail address"),
    ({"email": "änn@shop.example"}, "did not say your e-mail address"),
    ({"email": "ann@ｓhop.example"}, "did not say your e-mail address"),
    ({"email": "eve@shop.example"}, "no account here"),
    ({"email": "left@shop.example"}, "no account here"),
    ({"email": "erp@shop.example"}, "no account here"),
    ({"email": "buyer@shop.example"}, "no account here"),
    ({"email": "ann@elsewhere.example"}, "with an address at elsewhere.example"),
]  # fmt: skip


def test_a_token_that_lies_lets_nobody_in(ann: Client, provider: SignInProvider, settings: Any) -> None:
    settings.ECI_OIDC_DOMAINS = ["shop.example"]
    User.objects.filter(pk=account("left@shop.example").pk).update(is_active=False)
    User.objects.create_user("buyer@shop.example", "buyer@shop.example", PASSWORD)
    account("erp@shop.example", "services", admin=False)
    before = User.objects.count()
    for lies, told in LIES:
        provider.lies = lies
        refused = sign_in(ann, provider)
        assert refused.status_code == 401, lies
        assert told in refused.content.decode(), lies
        assert not is_in(ann), lies
    assert User.objects.count() == before
    provider.lies = {}
    assert sign_in(ann, provider).status_code == 302, "all else was right"


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_nor_does_one_that_the_provider_has_not_signed(algorithm: str, ann: Client, provider: SignInProvider) -> None:
    provider.sign_with = algorithm
    provider.metadata = {"id_token_signing_alg_values_supported": [algorithm]}
    assert b"not valid" in sign_in(ann, provider).content
    assert not is_in(ann)


@pytest.mark.parametrize("token", ["", "x.y.z", "e30.e30.e30", "bnVsbA.bnVsbA.", ["a list"], {"a": "map"}, 7, None])
def test_nor_does_what_is_no_token(token: Any, ann: Client, provider: SignInProvider) -> None:
    provider.token = token
    refused = sign_in(ann, provider)
    assert refused.status_code == 401
    assert "not valid" in refused.content.decode() or "who you are" in refused.content.decode()
    assert not is_in(ann)


def test_a_provider_with_one_key_need_not_name_it(ann: Client, provider: SignInProvider) -> None:
    provider.names_its_key = False
    assert sign_in(ann, provider).status_code == 302


def test_a_new_key_is_found_and_one_that_is_not_published_is_nobody_s(ann: Client, provider: SignInProvider) -> None:
    sign_in(ann, provider)
    provider.new_key()
    assert sign_in(ann, provider).status_code == 302
    with SignInProvider() as thief:
        provider._key = thief._key
        forget_everything()
        sign_in(Client(), provider)
        provider.new_key()
        provider._kid, kid = "another", provider._kid
        assert sign_in(Client(), provider).status_code == 302
        assert kid != provider._kid


def test_what_the_browser_brings_back_is_good_once_and_in_this_browser(ann: Client, provider: SignInProvider) -> None:
    assert sign_in(ann, provider, state="another").status_code == 401
    begun = provider.authorize(sent_to(ann.post(START)))
    assert b"begun in another browser" in Client().get(BACK, begun).content
    assert ann.get(BACK, begun).status_code == 302
    assert b"begun in another browser" in ann.get(BACK, begun).content
    assert sign_in(Client(), provider, iss="https://evil.example").status_code == 401
    assert b"did not confirm" in sign_in(Client(), provider, code="made up").content
    for query in ({"error": "access_denied"}, {"error": "<script>alert(1)</script>"}, {"code": ""}):
        thief = Client()
        state = provider.authorize(sent_to(thief.post(START)))["state"]
        refused = thief.get(BACK, {"state": state} | query)
        assert refused.status_code == 401
        assert "did not sign you in" in refused.content.decode()
        assert "alert(1)" not in refused.content.decode()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("away", "does not answer"),
        ("broken", "answers nonsense"),
        ("a list", "answers nonsense"),
        ("another", "describes itself as somebody else"),
        ("unencrypted", "describes itself as somebody else"),
        ("our secret is old", "did not confirm"),
    ],
)  # fmt: skip
def test_a_provider_that_fails_says_so(
    wrong: str, told: str, ann: Client, provider: SignInProvider, settings: Any
) -> None:
    if wrong == "away":
        provider.close()
    elif wrong == "broken":
        provider.status = 500
    elif wrong == "a list":
        provider.description = []
    elif wrong == "our secret is old":
        settings.ECI_OIDC_CLIENT_SECRET = "old"
    else:
        provider.metadata = {"issuer": "https://evil.example"} if wrong == "another" else {"token_endpoint": "ftp://x"}
    begun = ann.post(START)
    answer = begun if begun.status_code != 200 else ann.get(BACK, provider.authorize(sent_to(begun)))
    assert answer.status_code == (401 if wrong == "our secret is old" else 503)
    assert told in answer.content.decode()
    assert "with your password" in answer.content.decode() or answer.status_code == 401
    assert ann.post("/admin/login/", {"username": ANN, "password": PASSWORD}).status_code == 302


def test_who_makes_up_codes_keeps_nobody_out(ann: Client, provider: SignInProvider) -> None:
    provider.refusal = b"<html>Bad Request</html>"
    assert b"did not confirm" in sign_in(Client(), provider, code="made up").content
    assert sign_in(ann, provider).status_code == 302


NONSENSE = [
    *(b"[]", b"null", b"<html>", b"{}", b'"id_token"', b"7", b"1e999", b"\xff\xfe", b'{"keys": 7}', b'{"keys": [[]]}'),
    *(b'{"keys": [{"kty": "EC", "crv": "P-0", "x": 5}]}', b'{"id_token": "x", "expires_in": 1e999}'),
    *(b'{"issuer": "http://["}', b"[" * 100_000, b'{"a":' * 100_000, b" " * 1_100_000),
]


@pytest.mark.parametrize("said", ["tokens", "refusal", "keys", "description"])
def test_nonsense_is_no_error_of_ours(said: str, ann: Client, provider: SignInProvider) -> None:
    for nonsense in NONSENSE:
        forget_everything()
        setattr(provider, said, nonsense)
        begun = ann.post(START)
        if said == "description":
            answer = begun
        else:
            wrong = {"code": "made up"} if said == "refusal" else {}
            answer = ann.get(BACK, provider.authorize(sent_to(begun)) | wrong)
        assert answer.status_code in (401, 503), nonsense[:40]
    setattr(provider, said, None if said == "description" else b"")
    forget_everything()
    assert sign_in(ann, provider).status_code == 302


@pytest.mark.parametrize(
    "metadata",
    [
        {"token_endpoint_auth_methods_supported": 7},
        {"authorization_endpoint": "http://["},
        {"authorization_endpoint": "http://127.0.0.1/\nX: y"},
        {"jwks_uri": "http:"},
    ],
)
def test_nor_is_a_description_that_cannot_be(metadata: Any, ann: Client, provider: SignInProvider) -> None:
    provider.metadata = metadata
    assert ann.post(START).status_code == 503


def test_another_kind_of_token_is_none(ann: Client, provider: SignInProvider) -> None:
    for kind in ("at+jwt", "logout+jwt", 7):
        provider.header = {"typ": kind}
        assert b"not valid" in sign_in(ann, provider).content, kind


def test_another_site_s_page_begins_nothing_and_uses_up_nothing(
    ann: Client, provider: SignInProvider, settings: Any
) -> None:
    settings.ECI_RATE_LIMITS = settings.ECI_RATE_LIMITS | {
        name: Rate(account=1, address=1, seconds=300) for name in ("login", "sign_in")
    }
    careful = Client(enforce_csrf_checks=True)
    for _ in range(2):
        shown = careful.get(START, {"next": "/admin/auth/group/"})
        assert shown.headers["Location"] == "/admin/login/?next=%2Fadmin%2Fauth%2Fgroup%2F"
        assert careful.post(START).status_code == 403
    assert not provider.answers
    assert ann.post(START).status_code == 200
    assert ann.post(START).status_code == 429
    login = {"username": ANN, "password": PASSWORD}
    asked = {"email": ANN, "password": PASSWORD}
    assert ann.post("/v1/staff/token", asked, content_type="application/json").status_code == 200
    assert ann.post("/admin/login/", login).status_code == 302


def test_it_takes_ten_minutes_at_most_and_one_at_a_time(ann: Client, provider: SignInProvider) -> None:
    begun = sent_to(ann.post(START))
    with time_machine.travel(time.time() + 601, tick=True):
        assert b"This sign-in is over" in ann.get(BACK, provider.authorize(begun)).content
    first, second = (sent_to(ann.post(START)) for _ in range(2))
    assert b"This sign-in is over" in ann.get(BACK, provider.authorize(first)).content
    assert b"This sign-in is over" in ann.get(BACK, provider.authorize(second)).content, "it is used up"


def test_links_cannot_choose_what_is_asked_for(ann: Client, provider: SignInProvider) -> None:
    begun = ann.post(START, {"scope": "admin", "prompt": "none", "auth_params": "prompt=none", "state": "known"})
    asked = parse_qs(urlsplit(sent_to(begun)).query)
    assert asked["scope"] == ["openid email profile"]
    assert "prompt" not in asked
    assert asked["state"] != ["known"]
    assert len({asked[name][0] for name in ("state", "nonce", "code_challenge")}) == 3


def test_a_provider_may_want_the_secret_in_the_body(ann: Client, provider: SignInProvider) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert sign_in(ann, provider).status_code == 302


def test_its_groups_become_ours_where_settings_say_so(provider: SignInProvider, settings: Any) -> None:
    groups.make_groups()
    ann = account(ANN, "support staff", "stock staff", admin=False)
    settings.ECI_OIDC_GROUPS = (("shop-catalog", "catalog staff"), ("shop-stock", "stock staff"))
    provider.user |= {"groups": ["shop-catalog", "chess club", "admin"]}
    sign_in(Client(), provider)
    assert sorted(ann.groups.values_list("name", flat=True)) == ["catalog staff", "support staff"]
    line = Trail.objects.get(action="groups as at the provider")
    assert (line.before, line.after) == (
        {"groups": ["stock staff", "support staff"]},
        {"groups": ["catalog staff", "support staff"]},
    )
    sign_in(Client(), provider)
    assert Trail.objects.filter(action="groups as at the provider").count() == 1
    provider.user |= {"groups": None}
    sign_in(Client(), provider)
    assert list(ann.groups.values_list("name", flat=True)) == ["support staff"]
    assert not User.objects.get().is_superuser


def test_dangerous_acts_are_confirmed_at_the_provider(ann: Client, provider: SignInProvider) -> None:
    sign_in(ann, provider)
    session = ann.session
    session[staff_confirm.PROVED_AT] -= staff_confirm.FRESH
    session.save()
    page = "/admin/auth/user/add/"
    asked = ann.get(page)
    assert asked.status_code == 403
    assert f'<form method="post" action="{START}"' in asked.content.decode()
    assert f'name="next" value="{page}"' in asked.content.decode()
    begun = ann.post(START, {"again": "1", "next": page})
    assert "prompt=login" in sent_to(begun)
    provider.lies = {"auth_time": int(time.time()) - 3600}
    refused = ann.get(BACK, provider.authorize(sent_to(begun)))
    assert b"did not ask for your password again" in refused.content
    assert ann.get(page).status_code == 403
    provider.lies = {}
    begun = ann.post(START, {"again": "1", "next": page})
    assert ann.get(BACK, provider.authorize(sent_to(begun))).headers["Location"] == page
    assert ann.get(page).status_code == 200


@pytest.mark.no_database
def test_settings_that_cannot_be_meant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("login.example.com", "http://login.example.com", "ftp://localhost", "https://"):
        monkeypatch.setenv("ECI_OIDC_ISSUER", url)
        with pytest.raises(ImproperlyConfigured, match="not an https URL"):
            environment.provider_url("ECI_OIDC_ISSUER")
    for text in ("stock staff", "x=nobody", "=stock staff", "machines=services"):
        monkeypatch.setenv("ECI_OIDC_GROUPS", text)
        with pytest.raises(ImproperlyConfigured, match="<group there>"):
            environment.staff_groups("ECI_OIDC_GROUPS")
    monkeypatch.setenv("ECI_OIDC_GROUPS", "cn=stock,dc=shop=stock staff")
    with pytest.raises(ImproperlyConfigured):
        environment.staff_groups("ECI_OIDC_GROUPS")
