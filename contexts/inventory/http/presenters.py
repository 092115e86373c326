"""Inventory's rows as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contexts.catalog.public.contracts import Product
from contexts.inventory.domain import Explanation, Hold
from contexts.inventory.past import StockThen
from contexts.inventory.public.contracts import AllocationState
from contexts.inventory.selectors import ReservationStatistics, ReservationView
from contexts.inventory.services.counts import Outcome
from eci.clock import iso
from eci.http.exports import code_cell, text_cell


def stock_row(row: Any, product: Product | None) -> dict[str, Any]:
    return {
        "inventory_id": row.pk,
        "product_id": row.product_id,
        "sku": product.sku if product else None,
        "name": product.name if product else None,
        "warehouse": row.warehouse_id,
        "onhand": row.on_hand,
        "reserved": row.held,
        "owed": row.owed,
        "available": row.available,
        "reorder_point": row.reorder_point,
        "updated_at": iso(row.updated_at),
    }


def counts(outcomes: list[Outcome], rows: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """``rows``: the stock rows as JSON, by id."""
    items = [_count(index, one, rows) for index, one in enumerate(outcomes)]
    totals = {word: sum(item["outcome"] == word for item in items) for word in ("counted", "same", "refused")}
    return totals | {"items": items}


def _count(index: int, one: Outcome, rows: dict[int, dict[str, Any]]) -> dict[str, Any]:
    refusal = one.refusal
    return {
        "item": index,
        "outcome": "refused" if refusal else "counted" if one.delta else "same",
        "row": rows.get(one.stock_id or 0),
        "code": refusal.code if refusal else None,
        "error": refusal.message if refusal else None,
        "details": refusal.details if refusal else None,
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


def availability_then(
    product_id: int, rows: list[StockThen], *, moment: datetime, known_from: datetime | None
) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "as_of": iso(moment),
        "holds_known_from": iso(known_from),
        "total_available": _total(row.available for row in rows),
        "total_on_hand": sum(row.on_hand for row in rows),
        "total_reserved": _total(row.reserved for row in rows),
        "total_owed": _total(row.owed for row in rows),
        "warehouses": [{"warehouse": row.warehouse} | _numbers_then(row) for row in rows],
    }


def _total(units: Iterable[int | None]) -> int | None:
    """None if one is not known."""
    known = list(units)
    return None if None in known else sum(filter(None, known))


def _numbers_then(row: StockThen) -> dict[str, Any]:
    return {"on_hand": row.on_hand, "reserved": row.reserved, "owed": row.owed, "available": row.available}


def stock_then(row: StockThen, product: Product | None) -> dict[str, Any]:
    return {
        "inventory_id": row.stock_id,
        "product_id": row.product_id,
        "sku": product.sku if product else None,
        "name": product.name if product else None,
        "warehouse": row.warehouse,
    } | _numbers_then(row)


def stock_then_cells(row: StockThen, product: Product | None) -> list[Any]:
    sku, name = (product.sku, product.name) if product else ("", "")
    return [row.product_id, code_cell(sku), text_cell(name), code_cell(row.warehouse), *_numbers_then(row).values()]


def explained(row: Any, why: Explanation, movements: list[Any], product: Product | None) -> dict[str, Any]:
    return {
        "inventory_id": row.pk,
        "product_id": row.product_id,
        "sku": product.sku if product else None,
        "name": product.name if product else None,
        "warehouse": why.warehouse,
        "is_active": why.is_active,
        "on_hand": why.on_hand,
        "reserved": why.reserved,
        "owed": why.owed,
        "owed_elsewhere": why.owed_elsewhere,
        "available": why.available,
        "holds": [_hold(one) for one in why.holds],
        "more_holds": why.more,
        "last_movements": [movement(line) for line in movements],
        "sentence": why.sentence,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "reservation_id": hold.reservation_id,
        "order_id": hold.order_id or None,
        "quantity": hold.quantity,
        "state": hold.state,
        "paying": hold.paying,
        "expires_at": iso(hold.expires_at),
        "why_here": hold.why_here,
    }


def reservation(rows: ReservationView) -> dict[str, Any]:
    row = rows.reservation
    return {
        "reservation_id": row.pk,
        "order_id": row.order_id or None,
        "idempotency_key": row.key,
        "status": row.status,
        "paying": row.paying,
        "needs_attention": row.needs_attention,
        "why": row.why,
        "actor": row.actor,
        "warehouse": rows.warehouse,
        "choice": row.choice,
        "allocations": [
            {
                "product_id": allocation.product_id,
                "warehouse": allocation.warehouse_id,
                "quantity": allocation.quantity,
                "state": allocation.state,
            }
            for allocation in rows.allocations
        ],
        "expires_at": iso(rows.expires_at),
    }


def units_in(rows: ReservationView, state: AllocationState, warehouse: str | None) -> int:
    """The units of the reservation, in one warehouse or in all, that are in this state."""
    return sum(
        allocation.quantity
        for allocation in rows.allocations
        if allocation.state == state and warehouse in (None, allocation.warehouse_id)
    )


def reservation_statistics(counts: ReservationStatistics) -> dict[str, Any]:
    return {
        "reservation_stats": {
            f"{name}_reservations": getattr(counts, name)
            for name in ("active", "confirmed", "expired", "shipped", "released")
        },
        "expiring_in_1_hour": counts.expiring,
        "cleanup_active": counts.is_swept,
        "last_cleanup_at": iso(counts.swept_at),
        "counted_at": iso(counts.counted_at),
    }


def movement(row: Any) -> dict[str, Any]:
    return {
        "movement_id": row.pk,
        "product_id": row.product_id,
        "warehouse": row.warehouse_id,
        "delta": row.delta,
        "on_hand": row.on_hand,
        "reason": row.reason,
        "order_id": row.order_id or None,
        "reference": row.reference or None,
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
