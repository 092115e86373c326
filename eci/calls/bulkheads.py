"""Bulkheads: a context that hangs keeps a part of this process's threads, and never the last one.

All but one of the threads may be inside calls to one other context. Whoever finds them all there waits for as long as
calls are answered or begun. When there was neither for ``PATIENCE``, it is refused at once, and so the last thread
stays free for what needs no other context, as health and reads do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 1.0  # seconds
KNOWN = 3.0  # seconds without an answer: longer than a context waits for anybody else, such as the payment provider
_threads = 0  # of this process; 0: nobody has said, and any number of calls may be under way


class Full(Exception):
    """Every call that may be under way is, and none is answered."""


def has_threads(number: int) -> None:
    """Say how many requests or tasks this process works on at a time."""
    global _threads
    _threads = number


class Bulkhead:
    """Of the calls to one context."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._inside = 0
        self._moved_at = 0.0  # when a call was last begun or answered

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Around one call. Full, which says that it was not made. An exception says that it was not answered."""
        with self._moved:
            while self._is_full():
                left = self._moved_at + PATIENCE - time.monotonic()
                if left <= 0:
                    raise Full
                self._moved.wait(left)
            self._inside += 1
            self._moved_at = time.monotonic()
        answered = False
        try:
            yield
            answered = True
        finally:
            with self._moved:
                self._inside -= 1
                if answered:
                    self._moved_at = time.monotonic()
                self._moved.notify()

    def is_stuck(self) -> bool:
        """Whether a call would be refused, and would have been for a while."""
        with self._moved:
            return self._is_full() and time.monotonic() - self._moved_at > KNOWN

    def _is_full(self) -> bool:
        return bool(_threads) and self._inside >= max(1, _threads - 1)
