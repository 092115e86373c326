"""What can go wrong, as exceptions every context shares.

An error carries the HTTP status and the machine-readable ``code`` of API.md, one sentence for people and
``details`` made of JSON values. Contexts derive their own in ``public/contracts.py``; the constructor is the
same everywhere, so an error can be rebuilt on the other side of a border from its class, message and details.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EciError(Exception):
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


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
