"""Access tokens: forged, foreign, old, of somebody who may no longer. One attack, one test."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client

from contexts.customers.models import Customer
from eci.clock import utcnow
from eci.identity import auth, tokens
from tests.support.api import Answer, Api
from tests.support.people import PASSWORD, Person, customer, log_in, refresh, staff

pytestmark = [pytest.mark.usefixtures("closed"), pytest.mark.any_engine]

ME = "/v1/users/me"


@pytest.fixture
def ann() -> Person:
    return customer("ann@example.com")


def me(token: str) -> Answer:
    return Api().get(ME, Authorization=f"Bearer {token}")


def require_401(answer: Answer) -> None:
    assert (answer.status, answer.code) == (401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def private_key() -> Any:
    pem = (Path(settings.ECI_KEYS_DIR) / "signing.pem").read_bytes()
    return serialization.load_pem_private_key(pem, password=None)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def header_of(token: str) -> dict[str, Any]:
    return jwt.get_unverified_header(token)


def signed(token: str, *, without: str = "", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """The token with other claims, signed with our own key: what only a mistake of ours could issue."""
    claims = {name: value for name, value in (claims_of(token) | changes).items() if name != without}
    return jwt.encode(claims, private_key(), algorithm="ES256", headers=header_of(token) | (header or {}))


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_good_token_opens_what_is_mine(ann: Person) -> None:
    answer = ann.get(ME)
    assert (answer.status, answer.data["customer_id"]) == (200, ann.customer_id)
    claims, header = claims_of(ann.login["access"]), header_of(ann.login["access"])
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert claims["exp"] - claims["iat"] == 600 == ann.login["expires_in"]
    assert (claims["iss"], claims["aud"], claims["roles"]) == ("eci", "eci", ["C"])
    assert "ann@example.com" not in json.dumps(claims)


def test_resigned_without_a_change_it_is_good(ann: Person) -> None:
    """So that the attacks below fail for what they change and for nothing else."""
    assert me(signed(ann.login["access"])).status == 200


def test_alg_none(ann: Person) -> None:
    for none in ("none", "None", "NONE"):
        header = encoded(header_of(ann.login["access"]) | {"alg": none})
        payload = ann.login["access"].split(".")[1]
        require_401(me(f"{header}.{payload}."))


def test_the_public_key_as_the_secret_of_an_hmac(ann: Person) -> None:
    import hashlib
    import hmac

    public = private_key().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(Client().get("/.well-known/jwks.json").json()["keys"][0]).encode()
    for secret in (pem, pem.strip(), jwk):
        body = f"{encoded(header_of(ann.login['access']) | {'alg': 'HS256'})}.{ann.login['access'].split('.')[1]}"
        signature = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), hashlib.sha256)).rstrip(b"=").decode()
        require_401(me(f"{body}.{signature}"))


def test_another_key_under_our_kid(ann: Person) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    access = ann.login["access"]
    require_401(me(jwt.encode(claims_of(access), stranger, algorithm="ES256", headers=header_of(access))))


def test_a_key_that_the_token_brings_along(ann: Person) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    headers = header_of(ann.login["access"]) | {"jwk": jwk, "jku": "https://evil.example/keys", "kid": "mine"}
    require_401(me(jwt.encode(claims_of(ann.login["access"]), stranger, algorithm="ES256", headers=headers)))


@pytest.mark.parametrize("kid", ["unknown", "", "../../signing", None, 5, ["a"]])
def test_an_unknown_kid(ann: Person, kid: Any) -> None:
    header = header_of(ann.login["access"]) | {"kid": kid}
    _, payload, signature = ann.login["access"].split(".")
    require_401(me(f"{encoded(header)}.{payload}.{signature}"))
    if isinstance(kid, str):
        require_401(me(signed(ann.login["access"], header={"kid": kid})))


def test_another_kind_of_token(ann: Person) -> None:
    require_401(me(signed(ann.login["access"], header={"typ": "JWT"})))


def test_the_wrong_audience(ann: Person) -> None:
    for audience in ("another", "", ["another"], None):
        require_401(me(signed(ann.login["access"], aud=audience)))


def test_the_wrong_issuer(ann: Person) -> None:
    for issuer in ("another", ""):
        require_401(me(signed(ann.login["access"], iss=issuer)))


def test_expired(ann: Person) -> None:
    now = int(time.time())
    require_401(me(signed(ann.login["access"], iat=now - 700, exp=now - 100)))


def test_issued_in_the_future(ann: Person) -> None:
    now = int(time.time())
    require_401(me(signed(ann.login["access"], iat=now + 300, exp=now + 900)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "sid", "roles"])
def test_a_claim_is_missing(ann: Person, claim: str) -> None:
    require_401(me(signed(ann.login["access"], without=claim)))


@pytest.mark.parametrize(
    "change", [{"sub": "customer:1"}, {"sub": "staff:1", "roles": ["admin"]}, {"roles": ["admin"]}, {"exp": 2**40}]
)
def test_tampered_claims(ann: Person, change: dict[str, Any]) -> None:
    header, _, signature = ann.login["access"].split(".")
    require_401(me(f"{header}.{encoded(claims_of(ann.login['access']) | change)}.{signature}"))


def test_another_s_login_under_my_name(ann: Person) -> None:
    """Even with our signature: the login must be the subject's own."""
    bob = customer("bob@example.com")
    require_401(me(signed(ann.login["access"], sub=claims_of(bob.login["access"])["sub"])))
    require_401(me(signed(ann.login["access"], sub="staff:1", roles=["admin"])))


def test_roles_in_a_token_are_not_more_than_its_owner_has(ann: Person) -> None:
    token = signed(ann.login["access"], roles=["admin"])
    assert Api().get("/v1/customers", Authorization=f"Bearer {token}").status == 403


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer ...", "Bearer \u00e9", "Basic YTpi", "Bearer null"],
)
def test_garbage(header: str) -> None:
    for path in (ME, "/v1/products"):  # who sends credentials is judged by them on public routes too
        require_401(Api().get(path, Authorization=header))


def test_two_tokens_at_once(ann: Person) -> None:
    require_401(Api().get(ME, Authorization=f"Bearer {ann.login['access']}, Bearer {ann.login['access']}"))
    require_401(Api().get(ME, Authorization=f"Bearer {ann.login['access']} {ann.login['access']}"))


def test_of_a_customer_who_was_erased(ann: Person) -> None:
    Customer.objects.update(erased_at=utcnow())
    require_401(ann.get(ME))
    require_401(refresh(ann.login["refresh"]))


def test_of_a_customer_who_is_no_more(ann: Person) -> None:
    Customer.objects.all().delete()
    require_401(ann.get(ME))


def test_of_a_customer_who_was_blocked(ann: Person) -> None:
    support = staff("P")
    path = f"/v1/customers/{ann.customer_id}"
    assert support.patch(path, {"is_blocked": True}).data["is_blocked"] is True
    require_401(ann.get(ME))
    require_401(refresh(ann.login["refresh"]))
    require_401(log_in("ann@example.com"))
    assert support.patch(path, {"is_blocked": False}).data["is_blocked"] is False
    require_401(ann.get(ME))
    assert log_in("ann@example.com").status == 200


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_of_staff_that_has_left(change: dict[str, bool]) -> None:
    person = staff("P")
    assert person.get("/v1/customers").status == 200
    User.objects.update(**change)
    require_401(person.get("/v1/customers"))
    require_401(refresh(person.login["refresh"]))


def test_of_staff_with_another_password_since() -> None:
    person = staff("P")
    user = User.objects.get()
    user.set_password("another long password")
    user.save()
    require_401(person.get("/v1/customers"))
    require_401(refresh(person.login["refresh"]))


def test_of_staff_that_was_erased() -> None:
    person = staff("P")
    User.objects.all().delete()
    require_401(person.get("/v1/customers"))


def test_open_mode_does_not_forgive_a_bad_token(settings: Any) -> None:
    settings.ECI_OPEN = True
    require_401(me("forged"))


def test_while_customers_cannot_be_asked_a_customer_is_believed_and_staff_is_not(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    support = staff("P")

    def away(claims: tokens.Claims) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(auth, "_vouch", away)
    assert ann.get("/v1/products").status == 200
    assert support.get("/v1/products").status == 503
    monkeypatch.setattr(auth, "_vouch", None)  # as where customers runs elsewhere
    assert (ann.get("/v1/products").status, support.get("/v1/products").status) == (200, 200)


class TestKeys:
    def test_are_kept_in_a_file_for_their_owner_alone(self, ann: Person) -> None:
        folder = Path(settings.ECI_KEYS_DIR)
        assert (folder.stat().st_mode & 0o777, (folder / "signing.pem").stat().st_mode & 0o777) == (0o700, 0o600)

    def test_the_public_ones_are_published_and_enough_to_verify(self, ann: Person) -> None:
        answer = Client().get("/.well-known/jwks.json")
        (jwk,) = answer.json()["keys"]
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}, "and so nothing private"
        key = jwt.PyJWK(jwk)
        assert jwt.decode(ann.login["access"], key.key, algorithms=["ES256"], audience="eci")["sub"]
        assert header_of(ann.login["access"])["kid"] == jwk["kid"]

    def test_rotation_logs_nobody_out(self, ann: Person) -> None:
        before = header_of(ann.login["access"])["kid"]
        for _ in range(2):
            call_command("rotate_keys")
            assert ann.get(ME).status == 200
        after = header_of(log_in("ann@example.com").data["access"])["kid"]
        published = [jwk["kid"] for jwk in Client().get("/.well-known/jwks.json").json()["keys"]]
        assert (after != before, published[0] == after, len(published)) == (True, True, 3)
        renewed = refresh(ann.login["refresh"]).data
        assert header_of(renewed["access"])["kid"] == after
        assert me(renewed["access"]).status == 200

    def test_a_retired_key_goes_when_its_last_token_has_ended(self, ann: Person) -> None:
        call_command("rotate_keys")
        (retired,) = Path(settings.ECI_KEYS_DIR).glob("retired-*.pem")
        assert b"PRIVATE" not in retired.read_bytes()
        long_ago = time.time() - 3600
        os.utime(retired, (long_ago, long_ago))
        tokens._loaded = None  # as time passing would
        require_401(ann.get(ME))
        call_command("rotate_keys")
        assert not retired.exists()

    def test_may_come_from_the_environment(self, ann: Person, settings: Any) -> None:
        old = private_key()
        new = ec.generate_private_key(ec.SECP256R1())
        settings.ECI_TOKEN_KEY = new.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        require_401(ann.get(ME))
        settings.ECI_TOKEN_RETIRED_KEYS = (
            old.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
        assert ann.get(ME).status == 200
        assert me(log_in("ann@example.com", PASSWORD).data["access"]).status == 200
