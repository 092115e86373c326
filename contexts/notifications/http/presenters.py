"""Rows of notifications as JSON."""

from __future__ import annotations

from typing import Any

from eci.clock import iso


def notification(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "notification_id": row["notification_id"],
        "type": row["kind"],
        "channel": row["channel"],
        "recipient": row["recipient"],
        "subject": row["subject"],
        "message": row["message"],
        "status": row["status"],
        "order_id": row["order_id"] or None,
        "actor": row["actor"],
        "attempts": row["attempts"],
        "created_at": iso(row["created_at"]),
        "updated_at": iso(row["updated_at"]),
    }


def notification_with_log(row: dict[str, Any]) -> dict[str, Any]:
    log = [attempt | {"at": iso(attempt["at"])} for attempt in row["attempts_log"]]
    return notification(row) | {"attempts_log": log}
