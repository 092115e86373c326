"""Limits: how many requests a caller may make, and how many passwords it may try.

A window begins with the first request that it counts, and ends ``seconds`` later. Counting is atomic: many requests at
the same moment do not exceed the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from eci.counters import Count, Step, add
from eci.errors import EciError

LOGIN_WINDOW = 15 * 60  # seconds
LOGIN_TRIES = 10  # wrong passwords for one account from one address
LOGIN_SIEGE = 50  # wrong passwords for one account from anywhere: from then on an address has fewer tries
LOGIN_TRIES_UNDER_SIEGE = 3
LOGIN_SPRAY = 100  # wrong passwords from one address, for whatever accounts
LOGIN_KNOWN = 30 * 24 * 3600  # seconds after signing in, for which an account is known at that address


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
    """One try of a password. It counts as wrong until it is taken back, or was right."""

    account: str
    address: str
    name: str

    def take_back(self) -> None:
        add([Step(counter, -1, LOGIN_WINDOW) for counter in self._counters])

    def was_right(self) -> None:
        self.take_back()
        if self.account:
            add([Step(self._known, 1, LOGIN_KNOWN)])

    @property
    def _accounts(self) -> list[str]:
        return sorted({self.account, self.name} - {""})

    @property
    def _counters(self) -> list[str]:
        """From this address for any account, then for each account: from here, from anywhere."""
        return [f"login-from:{self.address}"] + [
            counter for account in self._accounts for counter in (f"login:{account}:{self.address}", f"login:{account}")
        ]

    @property
    def _known(self) -> str:
        return f"login-known:{self.account}:{self.address}"

    def _is_known(self) -> bool:
        return bool(self.account) and add([Step(self._known, 0, 1)])[0].times > 0

    def _begin(self) -> None:
        sprayed, *counts = add([Step(counter, 1, LOGIN_WINDOW) for counter in self._counters])
        for here, anywhere in zip(counts[::2], counts[1::2], strict=True):
            tries = LOGIN_TRIES_UNDER_SIEGE if anywhere.times > LOGIN_SIEGE else LOGIN_TRIES
            if here.times > tries:
                self._refuse(tries, here)
        if sprayed.times > LOGIN_SPRAY and not self._is_known():
            self._refuse(LOGIN_SPRAY, sprayed)

    def _refuse(self, tries: int, count: Count) -> NoReturn:
        self.take_back()  # the password is not even looked at
        quota = Quota(limit=Limit(times=tries, seconds=LOGIN_WINDOW), left=0, resets_in=_whole(count.seconds_left))
        raise Throttled("Too many failed attempts. Please try again later.", quota=quota)


def begin_login(*, account: str, address: str, name: str = "") -> LoginAttempt:
    """Call this before a password is checked.

    ``account`` is the account that was found (``customer:5``), ``name`` what was typed, in the form of
    ``names.likeness``: where nothing was found, that is counted all the same. Throttled:

    - after 10 wrong passwords for the account from this address in 15 minutes. Each address has tries of its own, so
      nobody can lock the owner out. After 50 wrong ones for the account from anywhere, each address has only 3;
    - after 100 wrong ones from this address, for whatever accounts, except for those that have signed in from there
      within 30 days: one guesser in an office does not lock the others out.
    """
    attempt = LoginAttempt(account=account, address=address, name=name)
    attempt._begin()
    return attempt


def _whole(seconds: float) -> int:
    return max(1, int(seconds) + 1)
