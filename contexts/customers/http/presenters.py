from __future__ import annotations

from typing import Any

from eci.clock import iso


def customer(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "customer_id": row["id"],
        "email": row["email"],
        "full_name": row["full_name"],
        "phone": row["phone"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def address(row: dict[str, Any]) -> dict[str, Any]:
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
