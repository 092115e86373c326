"""Counters that start again after some seconds: in Redis, or in a file that the processes of this machine share.

While Redis is away, the file counts. With several machines the limits are then looser, but never stricter.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings

from eci.remembered import Remembered
from eci.watch.requests import logger

log = logger(__name__)

_REDIS_TIMEOUT = 0.25  # seconds: a request must not wait long for its counters
_FILE_TIMEOUT = 2.0  # seconds: nobody holds the file for long, but a busy machine may stop a process that holds it
_TIDY_EVERY = 1_000  # calls

_failed: Remembered[str, bool] = Remembered(5.0)  # URLs and paths: what did not answer is left alone for a while


class Step(NamedTuple):
    """Add ``amount`` to the counter ``key``, whose window lasts so many seconds."""

    key: str
    amount: int
    seconds: int


class Count(NamedTuple):
    times: int
    seconds_left: float


def add(steps: Sequence[Step]) -> list[Count]:
    """Add to each counter. Returns their new values, never below zero, and the seconds until their windows end."""
    steps = [step._replace(key=_hidden(step.key)) for step in steps]
    if settings.ECI_REDIS_URL and settings.ECI_REDIS_URL not in _failed:
        try:
            return _add_in_redis(steps)
        except OSError as error:
            _failed.put(settings.ECI_REDIS_URL, True)
            log.warning("limits_without_redis", error=type(error).__name__)
    path = str(settings.ECI_COUNTERS_FILE)
    if path not in _failed:
        try:
            return _file(path, os.getpid()).add(steps)
        except sqlite3.Error as error:
            _failed.put(path, True)
            log.warning("counters_without_file", error=type(error).__name__)
    return _file(":memory:", os.getpid()).add(steps)


def _hidden(name: str) -> str:
    """Names contain network and e-mail addresses: Redis and the file get a keyed hash instead."""
    digest = hashlib.blake2b(name.encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=16)
    return f"eci:limit:{digest.hexdigest()}"


# -- in Redis ---------------------------------------------------------------------------------------------------------

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


@functools.lru_cache(maxsize=1)
def _script(url: str) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(
        url, socket_connect_timeout=_REDIS_TIMEOUT, socket_timeout=_REDIS_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    return client.register_script(_SCRIPT)


def _add_in_redis(steps: Sequence[Step]) -> list[Count]:
    from redis.exceptions import RedisError

    arguments = [argument for step in steps for argument in (step.amount, step.seconds * 1000)]
    try:
        answer = _script(settings.ECI_REDIS_URL)(keys=[step.key for step in steps], args=arguments)
    except RedisError as error:
        raise ConnectionError(str(error)) from error
    return [Count(int(count), int(left) / 1000) for count, left in zip(answer[::2], answer[1::2], strict=True)]


# -- in a file --------------------------------------------------------------------------------------------------------

_TABLE = "CREATE TABLE IF NOT EXISTS windows (name TEXT PRIMARY KEY, times INTEGER, ends REAL) WITHOUT ROWID"
_ADD = """
INSERT INTO windows VALUES (:name, max(0, :amount), :now + :seconds)
ON CONFLICT (name) DO UPDATE SET
  times = max(0, :amount + CASE WHEN ends > :now THEN times ELSE 0 END),
  ends = CASE WHEN ends > :now THEN ends ELSE excluded.ends END
RETURNING times, ends - :now
"""


class _File:
    """Counts survive a restart of the processes, but not always a power cut: no write waits for the disk."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._connection = sqlite3.connect(path, timeout=_FILE_TIMEOUT, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(_TABLE)

    def add(self, steps: Sequence[Step]) -> list[Count]:
        if not self._lock.acquire(timeout=_FILE_TIMEOUT):
            raise sqlite3.OperationalError("another thread waits for the file")
        try:
            return self._add_all(steps, time.time())
        finally:
            self._lock.release()

    def _add_all(self, steps: Sequence[Step], now: float) -> list[Count]:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._calls += 1
            if self._calls % _TIDY_EVERY == 0:
                self._connection.execute("DELETE FROM windows WHERE ends <= ?", [now])
            return [self._add(step, now) for step in steps]

    def _add(self, step: Step, now: float) -> Count:
        values = {"name": step.key, "amount": step.amount, "seconds": step.seconds, "now": now}
        [(times, seconds_left)] = self._connection.execute(_ADD, values).fetchall()
        return Count(times, seconds_left)


@functools.lru_cache(maxsize=4)
def _file(path: str, process: int) -> _File:
    """One connection for each process, because SQLite's connections must not cross a fork.

    Several tries: when several processes open a new file at once, SQLite tells some at once that it is locked.
    """
    until = time.monotonic() + _FILE_TIMEOUT
    while True:
        try:
            return _File(path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0, 0.02))
