"""Calls between contexts: one object per context, whose methods run here or, by configuration, elsewhere.

``public/api.py`` of each context holds ``client("name", Contract)``. The contract is an ABC whose methods take and
return frozen dataclasses, so a remote client can be generated from it. Callers see no difference. They must not call
from inside a transaction, because the call may go over the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from django.conf import settings

from eci.db import require_no_unit_of_work
from eci.watch import tracing

T = TypeVar("T")
_local: dict[str, object] = {}
_contracts: dict[str, type] = {}
_brief: ContextVar[bool] = ContextVar("brief", default=False)


def serve(context: str, implementation: object) -> None:
    """Answer the context's calls in this process. Called once, from the context's ``ready()``."""
    _local[context] = implementation
    _contracts[context] = next(base for base in type(implementation).__mro__ if inspect.isabstract(base))


def served(context: str) -> tuple[type, object]:
    """The contract of a context of this process, and its implementation."""
    return _contracts[context], _local[context]


@contextmanager
def replaced(context: str, implementation: object) -> Iterator[None]:
    """A door for tests: let ``implementation`` answer the context's calls inside the ``with`` block."""
    before = _local[context]
    _local[context] = implementation
    try:
        yield
    finally:
        _local[context] = before


class _Client:
    """Has the contract's methods, and calls each in this process or in another."""

    def __init__(self, context: str, contract: type) -> None:
        self._context = context
        self._contract = contract

    def __getattr__(self, name: str) -> Any:
        if name not in self._contract.__abstractmethods__:  # type: ignore[attr-defined]
            raise AttributeError(f"{self._contract.__name__} has no method {name}")
        require_no_unit_of_work(f"{self._context}.{name} called")
        method = self._method(name)

        def call(**asked: Any) -> Any:
            about = {"eci.context": self._context, "rpc.system.name": "eci", "rpc.method": name}
            with tracing.span(f"{self._context}/{name}", about):
                return method(**asked)

        return call

    def _method(self, name: str) -> Any:
        if settings.ECI_SERVICES[self._context] == "local":
            return getattr(_local[self._context], name)
        from eci.calls import remote  # imported only where a context is remote: it is costly

        return remote.method(self._context, self._contract, name)


def client(context: str, contract: type[T]) -> T:
    """The one object through which other contexts call ``context``."""
    return cast(T, _Client(context, contract))


@contextmanager
def briefly() -> Iterator[None]:
    """Calls inside do not wait long for a context that hangs: whoever makes them can do without the answer."""
    before = _brief.set(True)
    try:
        yield
    finally:
        _brief.reset(before)


def is_brief() -> bool:
    """Whether this call is made ``briefly``."""
    return _brief.get()


def require_reachable(context: str) -> None:
    """ContextUnavailable where another process hosts the context and is known not to answer. Nobody is asked."""
    if settings.ECI_SERVICES[context] != "local":
        from eci.calls import remote

        remote.require_reachable(context)
