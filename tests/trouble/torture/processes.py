"""Children of a warm parent: each a process of its own, which may be made to kill itself at a boundary.

A boundary lies before and after every SQL statement, commit and call of the payment provider; what lies between two
such things is one boundary, for nothing outside the process changes there.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from contexts.payments import workflows as payments
from contexts.payments.adapters.gateway import Gateway

T = TypeVar("T")


class Boundaries:
    """Counts the boundaries this process passes, and ends it at one of them."""

    def __init__(self, deadly: int | None = None) -> None:
        self.passed = 0
        self._deadly = deadly

    def watch(self) -> None:
        """From now on, in this process, and for as long as it lives.

        Not by ``execute_wrappers``: with one, prepared statements would not take the short way that orders really take.
        """
        for kind in {type(connection) for connection in connections.all()}:
            kind.cursor_for = self._before(kind.cursor_for)  # prepared statements, on the driver's cursor
        for method in ("execute", "executemany"):  # all others, on Django's
            setattr(CursorWrapper, method, self._before(getattr(CursorWrapper, method)))
        BaseDatabaseWrapper._commit = self._before(BaseDatabaseWrapper._commit)
        provider = type(payments.gateway)
        for name, _ in inspect.getmembers(Gateway, inspect.isfunction):
            setattr(provider, name, self._before(getattr(provider, name)))

    def reached(self) -> None:
        if self.passed == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def _before(self, call: Any) -> Any:
        @functools.wraps(call)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.reached()
            return call(*args, **kwargs)

        return counted


class Killed(Exception):
    """The process was killed before its work was done."""


class Child(Generic[T]):
    """A forked process that does ``work``. The parent has no open connection that the child could take along."""

    def __init__(self, work: Callable[[], T]) -> None:
        reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reader)
            _work(work, writer)
        os.close(writer)
        self._reader = reader

    def join(self) -> T:
        """What the work gave. Killed when the process was; a failure in the work is one here."""
        with os.fdopen(self._reader, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            raise Killed
        done, result = pickle.loads(told) if told else (False, f"A child ended with status {status}.")
        if not done:
            raise RuntimeError(result)
        answer: T = result
        return answer

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


def _work(work: Callable[[], Any], writer: int) -> NoReturn:
    try:
        told = (True, work())
    except BaseException:
        told = (False, traceback.format_exc())
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(pickle.dumps(told))
    os._exit(0)


def in_child(work: Callable[[], T]) -> T:
    """Have the work done by a fresh process that lives to its end."""
    return Child(work).join()
