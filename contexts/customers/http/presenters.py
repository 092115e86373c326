"""Customers' rows, and logins, as JSON."""

from __future__ import annotations

from typing import Any

from contexts.customers.domain import account_parts
from contexts.customers.selectors import Row
from contexts.customers.workflows import Login
from eci import metadata
from eci.clock import iso
from eci.identity import tokens
from eci.identity.roles import Role


def customer(row: Row) -> dict[str, Any]:
    return {
        "customer_id": row["id"],
        "email": row["email"],
        "new_email": row["new_email"] or None,
        "full_name": row["full_name"],
        "phone": row["phone"],
        "email_verified": row["email_verified_at"] is not None,
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def customer_for_staff(row: Row) -> dict[str, Any]:
    return customer(row) | {
        "is_blocked": row["blocked_at"] is not None,
        "metadata": metadata.shown(row["metadata"]),
    }


def login(made: Login) -> dict[str, Any]:
    shown = {"access": made.access, "refresh": made.refresh, "token_type": "Bearer", "expires_in": tokens.LIFETIME}
    kind, number = account_parts(made.claims.subject)
    if kind == "customer":
        return shown | {"customer_id": number}
    return shown | {"roles": sorted(made.claims.roles - {Role.ANONYMOUS})}


def address(row: Row) -> dict[str, Any]:
    return {
        "address_id": row["id"],
        "full_name": row["full_name"],
        "line1": row["line1"],
        "line2": row["line2"],
        "city": row["city"],
        "region": row["region"],
        "postal_code": row["postal_code"],
        "country": row["country"],
        "phone": row["phone"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }
