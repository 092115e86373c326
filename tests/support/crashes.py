"""A process that dies at a boundary of an order's workflow, and the time that passes until another one comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db.models.functions import Now

from contexts.orders import services
from contexts.orders.models import Order, Return
from contexts.payments.models import Payment, Refund
from eci.calls import rpc
from tests.support.api import settle


class Crash(BaseException):
    """The process is gone: nothing catches it, nothing is cleaned up."""


class Dying:
    """Stands before a context and ends the process before or after the nth call."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = method(*args, **kwargs)
            self._fuse.burn()
            return answer

        return call


class Fuse:
    def __init__(self, length: int) -> None:
        self.left = length

    def burn(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1


_WRITES = (
    "create_order",
    "record_confirmed",
    "record_rest",
    "record_undo",
    "record_progress",
    "discard_order",
    "request_cancel",
    "open_return",
    "finish_return",
)


@contextmanager
def dying_after(length: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process ends at the boundary of this number: before or after a participant's call or a write of orders."""
    fuse = Fuse(length)
    with monkeypatch.context() as patch, ExitStack() as doors:
        for context in ("inventory", "payments", "shipping"):
            doors.enter_context(rpc.replaced(context, Dying(rpc.served(context)[1], fuse)))
        for name in _WRITES:
            patch.setattr(services, name, _dying(getattr(services, name), fuse))
        yield


def _dying(write: Any, fuse: Fuse) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        fuse.burn()
        answer = write(*args, **kwargs)
        fuse.burn()
        return answer

    return call


def later() -> None:
    """Time passes: leases run out, everything that waits is due."""
    Order.objects.exclude(lease_until=None).update(lease_until=Now())
    Order.objects.exclude(next_at=None).exclude(status="AWAITING_PAYMENT").update(next_at=Now())
    for model in (Payment, Refund, Return):
        model.objects.exclude(next_at=None).update(next_at=Now())
    settle()
