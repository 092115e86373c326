"""Limits: how many requests a caller may make, and how many passwords it may try.

A window begins with the first request that it counts, and ends ``seconds`` later. Counting is atomic: many requests at
the same moment do not exceed the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eci.counters import Step, add
from eci.errors import EciError

LOGIN_WINDOW = 15 * 60  # seconds
LOGIN_TRIES = 10  # wrong passwords for one account from one address
LOGIN_SIEGE = 50  # wrong passwords for one account from anywhere: from then on an address has fewer tries
LOGIN_TRIES_UNDER_SIEGE = 3


@dataclass(frozen=True, kw_only=True)
class Limit:
    times: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What is left of a limit, and the seconds until all of it is available again."""

    limit: Limit
    left: int
    resets_in: int


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many requests of a class an account and an address may each make in ``seconds``. 0 means unlimited."""

    account: int
    address: int
    seconds: int


class Throttled(EciError):
    status = 429
    code = "throttled"

    def __init__(self, message: str, *, quota: Quota) -> None:
        super().__init__(message)
        self.quota = quota
        self.retry_after = quota.resets_in


def take(limits: Mapping[str, Limit]) -> Quota:
    """Count one request against each limit, by name. Returns the quota with the fewest requests left. Throttled."""
    counts = add([Step(name, 1, limit.seconds) for name, limit in limits.items()])
    quotas = [
        (limit.times - count, Quota(limit=limit, left=max(0, limit.times - count), resets_in=_whole(seconds_left)))
        for limit, (count, seconds_left) in zip(limits.values(), counts, strict=True)
    ]
    left, scarcest = min(quotas, key=lambda quota: quota[0])
    if left < 0:
        raise Throttled("Too many requests. Please slow down.", quota=scarcest)
    return scarcest


@dataclass(frozen=True, kw_only=True)
class LoginAttempt:
    """One try of a password. It counts as wrong until it is taken back."""

    account: str
    address: str

    def take_back(self) -> None:
        add([Step(self._from_here, -1, LOGIN_WINDOW), Step(self._from_anywhere, -1, LOGIN_WINDOW)])

    @property
    def _from_here(self) -> str:
        return f"login:{self.account}:{self.address}"

    @property
    def _from_anywhere(self) -> str:
        return f"login:{self.account}"

    def _begin(self) -> None:
        here, anywhere = add([Step(self._from_here, 1, LOGIN_WINDOW), Step(self._from_anywhere, 1, LOGIN_WINDOW)])
        tries = LOGIN_TRIES_UNDER_SIEGE if anywhere.times > LOGIN_SIEGE else LOGIN_TRIES
        if here.times > tries:
            add([Step(self._from_anywhere, -1, LOGIN_WINDOW)])  # its password is not even checked
            quota = Quota(limit=Limit(times=tries, seconds=LOGIN_WINDOW), left=0, resets_in=_whole(here.seconds_left))
            raise Throttled("Too many failed attempts. Please try again later.", quota=quota)


def begin_login(*, account: str, address: str) -> LoginAttempt:
    """Call this before a password is checked. ``account`` names an account, existing or not: ``customer:<e-mail>``.

    Throttled after 10 wrong passwords for the account from this address in 15 minutes. Each address has tries of its
    own, so nobody can lock the owner out. After 50 wrong ones for the account from anywhere, each address has only 3.
    """
    attempt = LoginAttempt(account=account, address=address)
    attempt._begin()
    return attempt


def _whole(seconds: float) -> int:
    return max(1, int(seconds) + 1)
