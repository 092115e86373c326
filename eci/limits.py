"""Counters of who asks how often: in Redis, shared by all processes, or within this process where there is none.

A window begins with the first request that is counted in it and ends ``seconds`` later. Counting is atomic: of many
requests in the same moment no more pass than may. While Redis is away each process counts for itself, so limits become
looser and refuse nobody whom they would not have refused.
"""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings

from eci.errors import EciError
from eci.observability import logger

log = logger(__name__)

_REDIS_TIMEOUT = 0.25  # seconds; a request must not wait for counters
_REDIS_PAUSE = 5.0  # seconds in which a Redis that did not answer is left alone
_TIDY_AT = 20_000  # windows in memory

LOGIN_WINDOW = 15 * 60  # seconds
LOGIN_TRIES = 10  # wrong passwords for one account from one address
LOGIN_SIEGE = 50  # wrong passwords for one account from anywhere, after which an address has fewer tries for it
LOGIN_TRIES_UNDER_SIEGE = 3


@dataclass(frozen=True, kw_only=True)
class Limit:
    times: int
    seconds: int


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What is left of a limit, and in how many seconds all of it will be there again."""

    limit: Limit
    left: int
    resets_in: int


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many requests of a class an account and an address may make in so many seconds; 0: as many as they like."""

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


class _Step(NamedTuple):
    key: str
    amount: int
    seconds: int


class _Count(NamedTuple):
    times: int
    seconds_left: float


def take(limits: Mapping[str, Limit]) -> Quota:
    """Count one request against each limit, by name; the scarcest of what is left. Throttled."""
    counts = _add([_Step(name, 1, limit.seconds) for name, limit in limits.items()])
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
    """A try at a password. It counts as a wrong one until that is taken back."""

    account: str
    address: str

    def take_back(self) -> None:
        _add([_Step(self._from_here, -1, LOGIN_WINDOW), _Step(self._from_anywhere, -1, LOGIN_WINDOW)])

    @property
    def _from_here(self) -> str:
        return f"login:{self.account}:{self.address}"

    @property
    def _from_anywhere(self) -> str:
        return f"login:{self.account}"

    def _begin(self) -> None:
        here, anywhere = _add([_Step(self._from_here, 1, LOGIN_WINDOW), _Step(self._from_anywhere, 1, LOGIN_WINDOW)])
        tries = LOGIN_TRIES_UNDER_SIEGE if anywhere.times > LOGIN_SIEGE else LOGIN_TRIES
        if here.times > tries:
            _add([_Step(self._from_anywhere, -1, LOGIN_WINDOW)])  # it was not even looked at
            quota = Quota(limit=Limit(times=tries, seconds=LOGIN_WINDOW), left=0, resets_in=_whole(here.seconds_left))
            raise Throttled("Too many failed attempts. Please try again later.", quota=quota)


def begin_login(*, account: str, address: str) -> LoginAttempt:
    """Before a password is looked at. ``account`` tells accounts apart, known or unknown: ``customer:<e-mail>``.

    Throttled after 10 wrong passwords for the account from this address in 15 minutes. Other addresses have their own
    tries, so nobody can lock the owner out; while very many fail for one account, each address has 3.
    """
    attempt = LoginAttempt(account=account, address=address)
    attempt._begin()
    return attempt


def _whole(seconds: float) -> int:
    return max(1, int(seconds) + 1)


# -- the counters -----------------------------------------------------------------------------------------------------


def _add(steps: Sequence[_Step]) -> list[_Count]:
    """Add to each counter; its value afterwards, never below zero, and the seconds until its window ends."""
    steps = [step._replace(key=_hidden(step.key)) for step in steps]
    if settings.ECI_REDIS_URL and time.monotonic() >= _redis_back_at:
        try:
            return _add_in_redis(steps)
        except OSError as error:
            _leave_redis_alone(error)
    return _memory.add(steps)


def _hidden(name: str) -> str:
    """Names hold addresses and e-mail addresses, which are nobody's business in Redis or in a dump of memory."""
    digest = hashlib.blake2b(name.encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=16)
    return f"eci:limit:{digest.hexdigest()}"


_SCRIPT = """
local answer = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('INCRBY', key, ARGV[2 * i - 1])
  local left = redis.call('PTTL', key)
  if count <= 0 then
    redis.call('DEL', key)
    count = 0
  elseif left < 0 then
    left = tonumber(ARGV[2 * i])
    redis.call('PEXPIRE', key, left)
  end
  answer[#answer + 1] = count
  answer[#answer + 1] = left
end
return answer
"""

_redis_back_at = 0.0


def _leave_redis_alone(error: OSError) -> None:
    global _redis_back_at
    _redis_back_at = time.monotonic() + _REDIS_PAUSE
    log.warning("limits_without_redis", error=type(error).__name__)


@functools.lru_cache(maxsize=1)
def _script(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(
        url, socket_connect_timeout=_REDIS_TIMEOUT, socket_timeout=_REDIS_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    return client.register_script(_SCRIPT)


def _add_in_redis(steps: Sequence[_Step]) -> list[_Count]:
    from redis.exceptions import RedisError

    arguments = [argument for step in steps for argument in (step.amount, step.seconds * 1000)]
    try:
        answer = _script(settings.ECI_REDIS_URL)(keys=[step.key for step in steps], args=arguments)
    except RedisError as error:
        raise ConnectionError(str(error)) from error
    return [_Count(int(count), int(left) / 1000) for count, left in zip(answer[::2], answer[1::2], strict=True)]


class _Memory:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, float]] = {}  # how many, until when
        self._tidy_at = _TIDY_AT

    def add(self, steps: Sequence[_Step]) -> list[_Count]:
        now = time.monotonic()
        with self._lock:
            if len(self._windows) > self._tidy_at:
                self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
                self._tidy_at = max(_TIDY_AT, 2 * len(self._windows))
            return [self._add(step, now) for step in steps]

    def _add(self, step: _Step, now: float) -> _Count:
        count, ends = self._windows.get(step.key, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + step.seconds
        count = max(0, count + step.amount)
        self._windows[step.key] = count, ends
        return _Count(count, ends - now)

    def forget(self) -> None:
        with self._lock:
            self._windows.clear()


_memory = _Memory()


def forget() -> None:
    """Begin all counts of this process anew."""
    _memory.forget()
