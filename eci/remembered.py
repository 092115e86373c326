"""Values that a process keeps for some seconds: every short-lived cache and every pause is a ``Remembered``.

Processes share nothing here; the threads of one process do. Tests call ``forget_everything()`` before each test, and
wherever the seconds must seem to have passed.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_all: weakref.WeakSet[Remembered[Hashable, object]] = weakref.WeakSet()


class Remembered(Generic[K, V]):
    """Values by key. Each is kept for ``seconds`` after it was put here.

    For a pause the value does not matter: ``put(key, True)`` begins it, and ``key in pauses`` asks for it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._kept: dict[K, tuple[float, V]] = {}  # when it was put, and the value
        _all.add(self)  # type: ignore[arg-type]

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return self._is_fresh(key)

    def get(self, key: K) -> V | None:
        with self._lock:
            return self._kept[key][1] if self._is_fresh(key) else None

    def get_or_load(self, key: K, load: Callable[[], V]) -> V:
        """The key's value. Without one, load it and keep it: several threads may load the same key at the same time."""
        with self._lock:
            if self._is_fresh(key):
                return self._kept[key][1]
        value = load()
        self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._put(key, value)

    def add(self, key: K, value: V) -> bool:
        """Put the value unless the key has one. True for exactly one of several threads that do so at once."""
        with self._lock:
            if self._is_fresh(key):
                return False
            self._put(key, value)
            return True

    def forget(self, key: K) -> None:
        with self._lock:
            self._kept.pop(key, None)

    def forget_all(self) -> None:
        with self._lock:
            self._kept.clear()

    def _is_fresh(self, key: K) -> bool:
        return key in self._kept and time.monotonic() - self._kept[key][0] < self.seconds

    def _put(self, key: K, value: V) -> None:
        self._kept.pop(key, None)  # the oldest stands first
        while self._kept and not self._is_fresh(oldest := next(iter(self._kept))):
            del self._kept[oldest]
        self._kept[key] = time.monotonic(), value


def forget_everything() -> None:
    """Empty every ``Remembered`` of this process, as if its seconds had passed."""
    for remembered in list(_all):
        remembered.forget_all()
