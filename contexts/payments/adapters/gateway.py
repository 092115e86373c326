"""The port to a payment provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Protocol

from contexts.payments.domain import Operation, Outcome
from eci.watch import tracing


class GatewayUnavailable(Exception):
    """The provider gave no answer. Whether it acted is unknown: ask again with the same key, or ``lookup`` the key."""


class GatewayTimeout(GatewayUnavailable):
    """No answer within ``settings.ECI_GATEWAY_TIMEOUT`` seconds."""


class Gateway(Protocol):
    """Each operation happens at most once per ``key``; a repeat gets the same answer.

    A refusal is an answer (``Outcome.done`` false), not an exception. Every method may raise GatewayUnavailable. No
    method may be called inside a unit of work. Amounts are minor units.
    """

    def authorise(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        """Set the amount aside."""

    def charge(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        """Authorise and capture in one call."""

    def capture(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        """Take authorised money; refused when it was voided."""

    def void(self, *, key: str, reference: str) -> Outcome:
        """Void an authorisation; refused when it was captured."""

    def refund(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        """Refund captured money."""

    def lookup(self, *, key: str) -> Outcome | None:
        """What became of the operation of this key; None when the provider has never seen it."""

    def operations(self, *, day: date) -> Iterable[Operation]:
        """The provider's own list of one day (UTC), refusals included, oldest first."""


@contextmanager
def asked(operation: str) -> Iterator[None]:
    """One question to the provider, as part of the trace."""
    about = {"eci.context": "payments", "peer.service": "payment-provider", "eci.provider.operation": operation}
    with tracing.span(f"payment provider: {operation}", about, kind="CLIENT"):
        yield
