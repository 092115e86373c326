"""What a context may raise instead of answering, as exceptions that all contexts share.

``EciError``: the request is refused, with the HTTP status and the ``code`` of docs/api.md. ``Unfinished``:
the outcome is not known yet. Contexts derive their own in ``public/contracts.py``. The constructor is the same
everywhere: one sentence for people, and ``details`` made of JSON values. So the other side of a border can rebuild an
exception from its class, message and details.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ContractError(Exception):
    """The base of all that a contract's methods raise: callers in other processes get it as what it is."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Unfinished(ContractError):
    """The outcome is not known yet: call again later. It is not a refusal, so it has no HTTP status: the calling
    workflow handles it, and no client ever sees it."""


class EciError(ContractError):
    """A refusal, as the client sees it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"


class InvalidRequest(EciError):
    status = 400
    code = "validation_error"


class NotAuthenticated(EciError):
    status = 401
    code = "not_authenticated"


class NotFound(EciError):
    status = 404
    code = "not_found"


class Conflict(EciError):
    status = 409
    code = "conflict"


class InvalidTransition(Conflict):
    """The thing exists, but its state does not allow the request."""

    code = "invalid_transition"


class OwnedByOrder(Conflict):
    """Reservations and shipments of our own orders change only through the orders context."""

    code = "owned_by_order"


class PreconditionFailed(EciError):
    """The thing has changed since the caller saw the version that the request names."""

    status = 412
    code = "precondition_failed"


class IdempotencyInProgress(Conflict):
    """Another request with the same key is still running; ``retry_after`` is in seconds."""

    code = "idempotency_in_progress"
    retry_after: ClassVar[int] = 1


class IdempotencyKeyReused(EciError):
    status = 422
    code = "idempotency_key_reused"


class ContextUnavailable(EciError):
    """A context or its database cannot be reached at the moment. The same request may be sent again."""

    status = 503
    code = "context_unavailable"
    retry_after: ClassVar[int] = 2
