"""Calls between processes: forged, replayed, meant for another, or by somebody else. One attack, one test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client

from contexts.inventory.models import Reservation, UsedServiceToken
from contexts.orders.models import InboxEvent
from eci.calls import service_tokens
from eci.clock import utcnow
from eci.identity import keys
from tests.support.api import Answer, Api
from tests.support.people import customer, staff
from tests.support.rows import rows

pytestmark = pytest.mark.usefixtures("closed")

PATH = "/internal/v1/inventory/release"
BODY = json.dumps({"key": "K1", "order_id": "ORD-1"}).encode()


@pytest.fixture(autouse=True)
def key(closed: None, settings: Any, tmp_path: Path) -> Iterator[keys.PrivateKey]:
    """A caller named ``front``, whom this process knows; its private key."""
    settings.ECI_SERVICE_NAME = "front"
    settings.ECI_SERVICE_CALLERS_DIR = tmp_path / "callers"
    settings.ECI_SERVICE_CALLERS_DIR.mkdir()
    (tmp_path / "callers" / "front.pem").write_text(service_tokens.public_key())
    yield keys.read_private((tmp_path / "keys" / "service.pem").read_bytes())


def token(path: str = PATH, body: bytes = BODY, audience: str = "inventory") -> str:
    return service_tokens.issue(audience=audience, path=path, body=body)


def call(credentials: str | None, *, path: str = PATH, body: bytes = BODY, scheme: str = "Bearer") -> Answer:
    headers = {} if credentials is None else {"Authorization": f"{scheme} {credentials}"}
    response = Client(raise_request_exception=False).post(path, body, content_type="application/json", headers=headers)
    return Answer(response.status_code, json.loads(response.content or b"null"), response.headers)


def claims_of(given: str) -> dict[str, Any]:
    return jwt.decode(given, options={"verify_signature": False})


def signed(key: Any, *, without: str = "", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good token with other claims, signed by the caller's own key: what only a mistake of ours could issue."""
    good = token()
    claims = {name: value for name, value in (claims_of(good) | changes).items() if name != without}
    return jwt.encode(claims, key, algorithm="ES256", headers=jwt.get_unverified_header(good) | (header or {}))


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def require_refused(credentials: str | None, **how: Any) -> None:
    before = rows()
    answer = call(credentials, **how)
    assert (answer.status, answer.json["code"]) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert rows() == before, "a refused call changed something"


def test_a_good_token_calls_once() -> None:
    answer = call(token())
    assert (answer.status, answer.json["status"]) == (200, "RELEASED")
    assert Reservation.objects.get().key == "K1"


def test_what_a_token_says(key: Any) -> None:
    claims, header = claims_of(token()), jwt.get_unverified_header(token())
    assert (header["alg"], header["typ"], header["kid"]) == (
        "ES256",
        "eci-service+jwt",
        keys.key_id(key.public_key()),
    )
    assert (claims["iss"], claims["aud"], claims["path"]) == ("front", "inventory", PATH)
    assert claims["exp"] - claims["iat"] == 30
    assert claims["digest"] == hashlib.sha256(BODY).hexdigest()


def test_resigned_without_a_change_it_is_good(key: Any) -> None:
    """So that the attacks below fail for what they change and for nothing else."""
    assert call(signed(key)).status == 200


def test_no_token() -> None:
    require_refused(None)


@pytest.mark.any_engine
@pytest.mark.parametrize("garbage", ["", "x", "a.b.c", "...", "null", "\u00e9"])
def test_garbage(garbage: str) -> None:
    require_refused(garbage)


def test_another_scheme() -> None:
    require_refused(token(), scheme="Basic")


def test_replayed() -> None:
    used = token()
    assert call(used).status == 200
    require_refused(used)


def test_replayed_under_another_signature(key: Any) -> None:
    """An ECDSA signature can be made anew over the same claims; they are used all the same."""
    claims = claims_of(token())
    assert call(signed(key, **claims)).status == 200
    require_refused(signed(key, **claims))


def test_a_token_is_used_even_if_its_call_was_refused() -> None:
    path = "/internal/v1/inventory/confirm"
    body = json.dumps({"key": "unknown"}).encode()
    used = token(path, body)
    assert call(used, path=path, body=body).status == 422
    require_refused(used, path=path, body=body)


def test_while_used_tokens_cannot_be_looked_up_nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(UsedServiceToken, "save", away)
    assert call(token()).status == 503
    assert Reservation.objects.count() == 0


def test_used_tokens_are_forgotten_once_their_age_alone_refuses_them() -> None:
    UsedServiceToken.objects.create(digest="old", used_at=utcnow().replace(year=2020))
    first = token()
    assert call(first).status == 200
    assert not UsedServiceToken.objects.filter(digest="old").exists()
    assert UsedServiceToken.objects.count() == 1
    require_refused(first)


def test_expired(key: Any) -> None:
    now = int(time.time())
    require_refused(signed(key, iat=now - 40, exp=now - 10))


def test_issued_in_the_future(key: Any) -> None:
    now = int(time.time())
    require_refused(signed(key, iat=now + 60, exp=now + 90))


def test_longer_lived_than_any(key: Any) -> None:
    now = int(time.time())
    require_refused(signed(key, iat=now, exp=now + 3600))
    require_refused(signed(key, iat=now - 3600, exp=now + 20))


@pytest.mark.any_engine
def test_for_another_context(key: Any) -> None:
    for audience in ("catalog", "", "eci", ["inventory", "catalog"], ["inventory"], None):
        require_refused(signed(key, aud=audience))
    require_refused(token(path="/internal/v1/catalog/products", audience="catalog"))


def test_for_another_method() -> None:
    require_refused(token(path="/internal/v1/inventory/ship"))


def test_for_another_body() -> None:
    require_refused(token(), body=json.dumps({"key": "K2", "order_id": "ORD-1"}).encode())
    require_refused(token(), body=BODY + b" ")


def test_of_a_caller_we_do_not_know(settings: Any) -> None:
    (settings.ECI_SERVICE_CALLERS_DIR / "front.pem").unlink()
    require_refused(token())


def test_of_one_caller_in_another_s_name(key: Any, settings: Any) -> None:
    other = keys.public_pem(keys.new().public_key()).decode()
    (settings.ECI_SERVICE_CALLERS_DIR / "orders.pem").write_text(other)
    for name in ("orders", ""):
        require_refused(signed(key, iss=name))


def test_another_key_under_a_known_kid(key: Any) -> None:
    good = token()
    headers = jwt.get_unverified_header(good)
    require_refused(jwt.encode(claims_of(good), keys.new(), algorithm="ES256", headers=headers))


def test_a_key_that_the_token_brings_along() -> None:
    stranger = keys.new()
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    headers = {"typ": "eci-service+jwt", "jwk": jwk, "jku": "https://evil.example/keys", "kid": "mine"}
    require_refused(jwt.encode(claims_of(token()), stranger, algorithm="ES256", headers=headers))


@pytest.mark.any_engine
@pytest.mark.parametrize("kid", ["unknown", "", "../front", "front", None, 5, ["a"]])
def test_an_unknown_kid(key: Any, kid: Any) -> None:
    header = encoded(jwt.get_unverified_header(token()) | {"kid": kid})
    _, payload, signature = token().split(".")
    require_refused(f"{header}.{payload}.{signature}")
    if isinstance(kid, str):
        require_refused(signed(key, header={"kid": kid}))


@pytest.mark.any_engine
@pytest.mark.parametrize("none", ["none", "None", "NONE"])
def test_alg_none(none: str) -> None:
    good = token()
    header = encoded(jwt.get_unverified_header(good) | {"alg": none})
    require_refused(f"{header}.{good.split('.')[1]}.")


def test_the_public_key_as_the_secret_of_an_hmac(key: Any) -> None:
    pem = keys.public_pem(key.public_key())
    good = token()
    for secret in (pem, pem.strip()):
        body = f"{encoded(jwt.get_unverified_header(good) | {'alg': 'HS256'})}.{good.split('.')[1]}"
        signature = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), hashlib.sha256)).rstrip(b"=").decode()
        require_refused(f"{body}.{signature}")


@pytest.mark.any_engine
@pytest.mark.parametrize("typ", ["JWT", "at+jwt", None])
def test_another_kind_of_token(key: Any, typ: Any) -> None:
    require_refused(signed(key, header={"typ": typ}))


@pytest.mark.any_engine
@pytest.mark.parametrize("claim", ["iss", "aud", "iat", "exp", "jti", "path", "digest"])
def test_a_claim_is_missing(key: Any, claim: str) -> None:
    require_refused(signed(key, without=claim))


@pytest.mark.any_engine
@pytest.mark.parametrize("change", [{"aud": "inventory", "path": "/x"}, {"exp": 2**40}, {"jti": "again"}, {"iss": "x"}])
def test_tampered_claims(change: dict[str, Any]) -> None:
    header, payload, signature = token().split(".")
    changed = encoded(claims_of(f"{header}.{payload}.{signature}") | change)
    require_refused(f"{header}.{changed}.{signature}")


@pytest.mark.parametrize("jti", ["", None, 5, ["a"]])
def test_a_jti_that_is_none(key: Any, jti: Any) -> None:
    require_refused(signed(key, jti=jti))


@pytest.mark.any_engine
def test_access_tokens_of_customers_and_staff_open_nothing_here(settings: Any) -> None:
    for person in (customer("ann@example.com"), staff("admin"), staff("V")):
        require_refused(person.login["access"])


def test_not_even_signed_by_a_caller_s_key_is_an_access_token_good(key: Any) -> None:
    require_refused(signed(key, header={"typ": "at+jwt"}, sub="staff:1", sid="1", roles=["admin"]))


@pytest.mark.parametrize("path", ["/v1/users/me", "/v1/orders", "/v1/products"])
def test_a_service_token_opens_nothing_under_v1(path: str) -> None:
    answer = Api().get(path, Authorization=f"Bearer {token(path, b'')}")
    assert (answer.status, answer.code) == (401, "not_authenticated")


def test_not_even_signed_by_the_key_of_access_tokens_is_it_good() -> None:
    """The same folder, another key: each kind of token is verified with its own."""
    access = customer("ann@example.com").login["access"]
    claims = claims_of(token()) | {"iss": "eci"}
    from django.conf import settings

    pem = (Path(settings.ECI_KEYS_DIR) / "signing.pem").read_bytes()
    private = serialization.load_pem_private_key(pem, password=None)
    headers = {"typ": "eci-service+jwt", "kid": jwt.get_unverified_header(access)["kid"]}
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    require_refused(jwt.encode(claims, private, algorithm="ES256", headers=headers))


class TestWhatMayBeCalled:
    @pytest.mark.parametrize(
        "method",
        ["__init__", "__class__", "_x", "local", "services", "nothing", "RELEASE", "release ", "event", "register"],
    )
    def test_methods_of_the_contract_alone(self, method: str) -> None:
        path = f"/internal/v1/inventory/{method}"
        answer = call(token(path), path=path)
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    def test_only_contexts_of_this_process(self, settings: Any) -> None:
        settings.ECI_CONTEXTS = tuple(name for name in settings.ECI_CONTEXTS if name != "inventory")
        for path in (PATH, "/internal/v1/inventory/events/orders.order_confirmed.v1", "/internal/v1/nothing/release"):
            assert call(token(path), path=path).status == 404

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"null",
            b"{",
            b'{"key": "K1"}',
            b'{"key": 5, "order_id": "x"}',
            b'{"key":"K","order_id":"x","z":1}',
        ],
    )
    def test_with_the_arguments_of_the_contract_alone(self, body: bytes) -> None:
        before = Reservation.objects.count()
        answer = call(token(body=body), body=body)
        assert (answer.status, answer.json["code"]) == (400, "validation_error")
        assert Reservation.objects.count() == before

    def test_only_by_post(self) -> None:
        assert Client().get(PATH, headers={"Authorization": f"Bearer {token(body=b'')}"}).status_code == 405

    def test_events_that_the_context_handles_alone(self) -> None:
        path = "/internal/v1/inventory/events/orders.order_confirmed.v1"
        body = json.dumps({"event_id": str(uuid.uuid4()), "payload": {}, "trace": {}}).encode()
        assert call(token(path, body), path=path, body=body).status == 404

    def test_several_events_at_once(self) -> None:
        path = "/internal/v1/orders/events"
        event = {"event_id": str(uuid.uuid4()), "payload": {"version": 1, "customer_id": 5}, "trace": {}}
        told = [event | {"name": "customers.customer_erased.v1"}]
        body = json.dumps({"events": told}).encode()
        mine = {"path": path, "audience": "orders"}
        for _ in range(2):
            assert call(token(body=body, **mine), path=path, body=body).status == 204
        assert InboxEvent.objects.filter(pk=event["event_id"]).count() == 1
        for bad, status in (
            ([{**told[0], "name": "inventory.stock_low.v1"}], 404),
            ([{"event_id": "1"}], 400),
            ([{**told[0], "event_id": str(uuid.uuid4())}, {**told[0], "name": "no"}], 404),
        ):
            body = json.dumps({"events": bad}).encode()
            assert call(token(body=body, **mine), path=path, body=body).status == status
        assert call("no token", path=path, body=body).status == 401
        assert InboxEvent.objects.count() == 1, "of a batch with one that nobody handles, none is handled"

    @pytest.mark.any_engine
    def test_the_document_for_clients_does_not_know_it(self) -> None:
        paths = json.loads(Client().get("/schema?format=json").content)["paths"]
        assert [path for path in paths if "internal" in path] == []


class TestRotation:
    def test_refuses_nobody(self, settings: Any) -> None:
        known = settings.ECI_SERVICE_CALLERS_DIR / "front.pem"
        before = token()
        following = _printed("--next")
        assert _printed("--next") == following, "asked again, it is the same one"
        assert call(token()).status == 200
        known.write_text(known.read_text() + following)
        assert call(token()).status == 200
        assert _printed("--switch") == following
        after = token()
        assert jwt.get_unverified_header(after)["kid"] != jwt.get_unverified_header(before)["kid"]
        assert (call(before).status, call(after).status) == (200, 200)
        known.write_text(following)
        assert call(token()).status == 200

    def test_a_key_taken_away_opens_nothing_from_then_on(self, settings: Any) -> None:
        good = token()
        known = settings.ECI_SERVICE_CALLERS_DIR / "front.pem"
        known.write_text(keys.public_pem(keys.new().public_key()).decode())
        require_refused(good)

    def test_nothing_to_switch_to(self) -> None:
        with pytest.raises(CommandError, match="prepare one"):
            call_command("service_key", "--switch")

    def test_a_key_of_the_environment(self, settings: Any) -> None:
        private = keys.new()
        settings.ECI_SERVICE_KEY = keys.private_pem(private).decode()
        require_refused(token())
        pem = keys.public_pem(private.public_key()).decode()
        (settings.ECI_SERVICE_CALLERS_DIR / "front.pem").write_text(pem)
        assert call(token()).status == 200
        with pytest.raises(CommandError, match="ECI_SERVICE_KEY"):
            call_command("service_key", "--next")

    def test_is_readable_by_its_owner_alone(self, settings: Any) -> None:
        _printed("--next")
        modes = {file.name: file.stat().st_mode & 0o777 for file in Path(settings.ECI_KEYS_DIR).glob("service*.pem")}
        assert modes == {"service.pem": 0o600, "service-next.pem": 0o600}


def _printed(*arguments: str) -> str:
    from io import StringIO

    out = StringIO()
    call_command("service_key", *arguments, stdout=out)
    return out.getvalue()
