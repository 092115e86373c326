"""Settings that cannot be are told by name, in one sentence, without the value of a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import checks, environment
from tests.config.test_settings import run, told

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

BAD: list[tuple[Callable[[str], object], list[str]]] = [
    (lambda name: environment.whole(name, 2), ["-1", "two", "1.5", "1e3", "٣", "9" * 30, "0x10"]),
    (lambda name: environment.whole(name, 25, most=65535), ["65536"]),
    (lambda name: environment.number(name, 2.0), ["-1", "two", "nan", "inf", "1e300"]),
    (lambda name: environment.fraction(name, "0.05"), ["-0.1", "1", "5%", "NaN"]),
    (environment.flag, ["maybe", "2", "ture"]),
    (lambda name: environment.choice(name, "optional", "required"), ["yes", "Required"]),
    (environment.networks, ["garbage", "10.0.0.1/8", "fd00::1/8", "10.0.0.0/33", "10.0.0.0/8,x"]),
    (environment.domains, ["@shop.example", "shop example", "shop.example,@x, ", "shop", "a@shop.example", "*.x.org"]),
    (
        environment.provider_url,
        [
            "https://idp.example/?a=b",
            "https://idp.example/#a",
            "https://user:pw@idp.example",
            "https://[",
            "https://a b",
        ]
        + ["https://idp.example:99999", "https://idp.example/?"],
    ),
    (environment.staff_groups, ["a=catalog staff,a=stock staff", "a=stock staff, a =stock staff"]),
    (environment.server_url, ["ftp://x", "s3.example", "http://", "https://key:hush@s3.example", "https://x/?y"]),
    (lambda name: environment.scratch_server(name, "postgresql"), ["mysql://a:b@h/x", "garbage"]),
    (lambda name: environment.scratch_server(name, "mysql"), ["postgres://a:b@h/x"]),
    (
        lambda name: environment.sender(name, "shop@example.com"),
        ["not an address", "Läden büro@example.com>", "Shop <shop>", "Shop <a@b.example", "a@b.example, c@d.example"]
        + ["Shop <a@b.example> x", "Shop\nBcc: c@d.example <a@b.example>", "<>", "shop@localhost"],
    ),
    (environment.folder, ["backups", "./backups", "~/backups"]),
]


SENDERS = {
    "": "shop@example.com",
    "  sales@Shop.example ": "sales@shop.example",
    "<sales@shop.example>": "sales@shop.example",
    "The Shop <sales@straße.de>": "The Shop <sales@xn--strae-oqa.de>",
    '"Shop, Inc." <sales@shop.example>': '"Shop, Inc." <sales@shop.example>',
    "Läden <sales@shop.example>": "=?utf-8?b?TMOkZGVu?= <sales@shop.example>",
}


@pytest.mark.parametrize(("read", "value"), [(read, value) for read, values in BAD for value in values])
def test_what_cannot_be(monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object], value: str) -> None:
    monkeypatch.setenv("ECI_X", value)
    with pytest.raises(ImproperlyConfigured, match=r"\AECI_X[^\n]+\.\Z"):
        read("ECI_X")


def test_what_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECI_X", " ")
    assert environment.whole("ECI_X", 4) == 4, "what is empty is not set"
    assert environment.flag("ECI_X", True)
    monkeypatch.setenv("ECI_X", "Shop.example, bücher.example")
    assert environment.domains("ECI_X") == ["shop.example", "xn--bcher-kva.example"]
    for given, written in SENDERS.items():
        monkeypatch.setenv("ECI_X", given)
        assert environment.sender("ECI_X", "shop@example.com") == written
    monkeypatch.setenv("ECI_X", "10.0.0.0/8, 192.168.1.5, fd00::/8")
    assert environment.networks("ECI_X") == ["10.0.0.0/8", "192.168.1.5", "fd00::/8"]


@pytest.mark.parametrize(
    "url", ["garbage", "oracle+x://u:hush@h/db", "postgres://u:hush@h:port/db", "postgres://[hush/"]
)
def test_a_database_that_is_none_is_not_shown(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        environment.database("ECI_X", url)
    assert "ECI_X" in str(refusal.value) and "hush" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_the_command_tells_it_in_one_sentence(tmp_path: Any) -> None:
    done = run(tmp_path, "manage.py", "check", ECI_DATABASE_TIMEOUT="99999999999999")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "ECI_DATABASE_TIMEOUT" in done.stderr and "from 0 to 2147483." in done.stderr
    assert "ECI_OIDC_CLIENT_ID" in told(tmp_path, of=[{"ECI_OIDC_CLIENT_ID": "shop"}])[0]


def test_a_redirect_without_end_and_settings_that_do_nothing(settings: Any) -> None:
    settings.ECI_DEBUG, settings.ALLOWED_HOSTS = False, ["*"]
    settings.SECURE_PROXY_SSL_HEADER, settings.ECI_TRUSTED_PROXIES = ("HTTP_X_FORWARDED_PROTO", "https"), []
    assert [one.id for one in checks.proxies(None) + checks.hosts(None)] == ["eci.W024", "eci.W025"]
    settings.SECURE_SSL_REDIRECT = True
    assert [one.id for one in checks.proxies(None)] == ["eci.E023"]
    settings.ECI_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert checks.proxies(None) == []
