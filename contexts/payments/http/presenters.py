"""Payments' rows as docs/api.md shows them: the fields of the contracts, and for staff who did what."""

from __future__ import annotations

from typing import Any

from contexts.payments import local
from eci.http.present import as_json
from eci.identity.auth import Caller


def payment(row: Any, *, caller: Caller) -> dict[str, Any]:
    names = {"actor": row.actor, "reviewed_by": row.reviewed_by} if caller.confined_to is None else {}
    return as_json(local.payment(row)) | names


def refund(row: Any) -> dict[str, Any]:
    return as_json(local.refund(row))
