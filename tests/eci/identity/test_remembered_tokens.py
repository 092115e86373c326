"""A token's signature is verified once; whether the token is still good, each time."""

from __future__ import annotations

import os
import time
from typing import Any

import jwt
import pytest

from eci.identity import tokens
from eci.identity.roles import Role, only
from eci.identity.tokens import Claims, InvalidToken

pytestmark = [pytest.mark.any_engine, pytest.mark.usefixtures("closed")]

ANN = Claims(subject="customer:5", name="customer:5", session="s1", roles=only(Role.CUSTOMER))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were verified."""
    seen: list[str] = []
    really = jwt.decode

    def decode(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return really(token, *arguments, **options)

    monkeypatch.setattr(tokens.jwt, "decode", decode)
    return seen


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """So many seconds from now."""
    later = time.time() + seconds
    monkeypatch.setattr(tokens.time, "time", lambda: later)


def test_it_is_verified_once(verified: list[str]) -> None:
    token, other = tokens.issue(ANN), tokens.issue(Claims(**vars(ANN) | {"session": "s2"}))
    assert [tokens.read(token) for _ in range(3)] == [ANN] * 3
    assert tokens.read(other).session == "s2"
    assert verified == [token, other]


def test_a_changed_token_is_another(verified: list[str]) -> None:
    token = tokens.issue(ANN)
    tokens.read(token)
    head, payload, signature = token.split(".")
    for forged in (f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload}x.{signature}", f" {token}"):
        with pytest.raises(InvalidToken):
            tokens.read(forged)
        with pytest.raises(InvalidToken):
            tokens.read(forged)


def test_it_ends_in_time(verified: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.issue(ANN)
    tokens.read(token)
    with monkeypatch.context() as clock:
        at(clock, tokens.LIFETIME)
        assert tokens.read(token) == ANN
    with monkeypatch.context() as clock:
        at(clock, tokens.LIFETIME + tokens.LEEWAY + 1)
        with pytest.raises(InvalidToken):
            tokens.read(token)


def test_it_ends_with_its_key() -> None:
    token = tokens.issue(ANN)
    tokens.read(token)
    tokens.rotate()
    assert tokens.read(token) == ANN, "a retired key still verifies"
    for path in tokens._folder().glob("retired-*.pem"):
        path.unlink()
    os.utime(tokens._folder(), (0, 0))  # the file system's clock may not have ticked since the rotation
    with pytest.raises(InvalidToken):
        tokens.read(token)


def test_it_is_for_whom_it_was(settings: Any) -> None:
    token = tokens.issue(ANN)
    tokens.read(token)
    settings.ECI_TOKEN_AUDIENCE = "another"
    with pytest.raises(InvalidToken):
        tokens.read(token)


def test_no_more_are_remembered_than_a_process_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST", 3)
    issued = [tokens.issue(Claims(**vars(ANN) | {"session": str(number)})) for number in range(5)]
    for token in issued:
        tokens.read(token)
    assert len(tokens._verified) == 3
    assert set(issued[2:]) == set(tokens._verified)
    assert [tokens.read(token).session for token in issued] == list("01234")
