"""Payments' rows as docs/api.md shows them: the fields of the contracts."""

from __future__ import annotations

from typing import Any

from contexts.payments import local
from eci.http.present import as_json


def payment(row: Any) -> dict[str, Any]:
    return as_json(local.payment(row))


def refund(row: Any) -> dict[str, Any]:
    return as_json(local.refund(row))
