"""Access tokens in a process that signs none: it asks the signing process for the keys, or has them from settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from eci.errors import ContextUnavailable
from eci.identity import keys, published_keys, tokens
from eci.identity.roles import Role, only
from eci.identity.tokens import Claims, InvalidToken
from eci.remembered import forget_everything
from tests.support.elsewhere import Elsewhere, Reply

pytestmark = pytest.mark.no_database

CLAIMS = Claims(subject="customer:5", name="customer:5", session="1", roles=only(Role.CUSTOMER))


@pytest.fixture(autouse=True)
def elsewhere(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    server = Elsewhere()
    settings.ECI_KEYS_DIR = tmp_path / "keys"
    settings.ECI_TOKEN_JWKS_URL = f"{server.url}/.well-known/jwks.json"
    monkeypatch.setattr(published_keys, "_known", {})
    yield server
    server.stop()


def issued(settings: Any) -> str:
    """A token signed elsewhere; from now on this process signs none."""
    settings.ECI_SIGNS_TOKENS = True
    token = tokens.issue(CLAIMS)
    settings.ECI_SIGNS_TOKENS = False
    return token


def published() -> Reply:
    return 200, json.dumps(tokens.jwks()).encode()


def test_keys_are_asked_for_once(settings: Any, elsewhere: Elsewhere) -> None:
    token = issued(settings)
    elsewhere.replies = [published()]
    assert [tokens.read(token) for _ in range(3)] == [CLAIMS] * 3
    assert [path for path, _, _ in elsewhere.requests] == ["/.well-known/jwks.json"]


def test_a_new_key_is_found_when_its_first_token_comes(settings: Any, elsewhere: Elsewhere) -> None:
    before = issued(settings)
    elsewhere.replies = [published()]
    tokens.read(before)
    settings.ECI_SIGNS_TOKENS = True
    tokens.rotate()
    after = issued(settings)
    elsewhere.replies = [published()]
    assert (tokens.read(after), tokens.read(before)) == (CLAIMS, CLAIMS)
    assert len(elsewhere.requests) == 2


def test_key_ids_that_strangers_make_up_are_looked_for_once_in_a_while(settings: Any, elsewhere: Elsewhere) -> None:
    good = issued(settings)
    elsewhere.replies = [published()]
    tokens.read(good)
    for number in range(5):
        forged = jwt.encode({}, keys.new(), algorithm="ES256", headers={"kid": f"mine-{number}", "typ": "at+jwt"})
        with pytest.raises(InvalidToken):
            tokens.read(forged)
    assert len(elsewhere.requests) == 2
    assert tokens.read(good) == CLAIMS


@pytest.mark.parametrize("answer", [(503, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"keys": []}'), "drop"])
def test_before_any_key_is_known_nobody_is_judged(settings: Any, elsewhere: Elsewhere, answer: Reply) -> None:
    token = issued(settings)
    elsewhere.replies = [answer]
    with pytest.raises(ContextUnavailable):
        tokens.read(token)


def test_while_nobody_answers_the_known_keys_hold(settings: Any, elsewhere: Elsewhere) -> None:
    token = issued(settings)
    elsewhere.replies = [published()]
    tokens.read(token)
    elsewhere.replies = [(503, b"")]
    forget_everything()  # as a minute passing would
    assert [tokens.read(token) for _ in range(3)] == [CLAIMS] * 3
    assert len(elsewhere.requests) == 2, "and are not waited for with every request"


def test_keys_may_be_given(settings: Any, elsewhere: Elsewhere) -> None:
    token = issued(settings)
    signing = keys.read_private((settings.ECI_KEYS_DIR / "signing.pem").read_bytes())
    others = [keys.new(), keys.new()]
    given = "".join(keys.public_pem(one.public_key()).decode() for one in [others[0], signing])
    settings.ECI_TOKEN_PUBLIC_KEYS = given
    assert tokens.read(token) == CLAIMS
    settings.ECI_TOKEN_PUBLIC_KEYS = keys.public_pem(others[1].public_key()).decode()
    with pytest.raises(InvalidToken):
        tokens.read(token)
    assert elsewhere.requests == []
