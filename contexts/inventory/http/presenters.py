"""Inventory's rows as API.md shows them."""

from __future__ import annotations

from typing import Any

from contexts.inventory.public.contracts import AllocationState, Reservation
from eci.clock import iso


def stock(row: Any) -> dict[str, Any]:
    return {
        "inventory_id": row.pk,
        "product_id": row.product_id,
        "warehouse": row.warehouse_id,
        "onhand": row.on_hand,
        "reserved": row.held,
        "available": row.available,
        "reorder_point": row.reorder_point,
        "updated_at": iso(row.updated_at),
    }


def availability(product_id: int, rows: list[Any]) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "total_available": sum(row.available for row in rows),
        "total_on_hand": sum(row.on_hand for row in rows),
        "total_reserved": sum(row.held for row in rows),
        "warehouses": [
            {
                "warehouse": row.warehouse_id,
                "on_hand": row.on_hand,
                "reserved": row.held,
                "available": row.available,
            }
            for row in rows
        ],
    }


def reservation(hold: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": hold.reservation_id,
        "order_id": hold.order_id or None,
        "idempotency_key": hold.key,
        "status": hold.status,
        "paying": hold.paying,
        "needs_attention": hold.needs_attention,
        "warehouse": hold.warehouse,
        "choice": hold.choice,
        "allocations": [
            {
                "product_id": allocation.product_id,
                "warehouse": allocation.warehouse,
                "quantity": allocation.quantity,
                "state": allocation.state,
            }
            for allocation in hold.allocations
        ],
        "expires_at": iso(hold.expires_at),
    }


def units_in(hold: Reservation, state: AllocationState, warehouse: str | None) -> int:
    """How many units of the hold, or of its part in one warehouse, are in this state."""
    return sum(
        allocation.quantity
        for allocation in hold.allocations
        if allocation.state == state and warehouse in (None, allocation.warehouse)
    )


def movement(row: Any) -> dict[str, Any]:
    return {
        "movement_id": row.pk,
        "product_id": row.product_id,
        "warehouse": row.warehouse_id,
        "delta": row.delta,
        "on_hand": row.on_hand,
        "reason": row.reason,
        "order_id": row.order_id or None,
        "actor": row.actor,
        "at": iso(row.at),
    }


def warehouse(row: Any) -> dict[str, Any]:
    return {
        "code": row.code,
        "name": row.name,
        "priority": row.priority,
        "address": row.address,
        "is_active": row.is_active,
        "created_at": iso(row.created_at),
    }


def statistics(counts: dict[str, Any]) -> dict[str, Any]:
    return counts | {"last_cleanup_at": iso(counts["last_cleanup_at"])}
