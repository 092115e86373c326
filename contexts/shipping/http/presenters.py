"""Rows as API.md shows them."""

from __future__ import annotations

from typing import Any

from eci.clock import iso

_TIMES = ("dispatched_at", "created_at", "updated_at")


def shipment(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: iso(row[name]) for name in _TIMES}


def shipment_with_events(row: dict[str, Any]) -> dict[str, Any]:
    return shipment(row) | {"events": [event | {"at": iso(event["at"])} for event in row["events"]]}


def shipment_for_customer(row: dict[str, Any]) -> dict[str, Any]:
    """Without staff's names and notes."""
    return shipment_with_events(row | {"events": [event | {"note": "", "actor": ""} for event in row["events"]]})


def tracking(row: dict[str, Any]) -> dict[str, Any]:
    """For anybody: nothing that tells who gets the parcel or where they live, and no staff's notes."""
    return {
        "tracking_no": row["tracking_no"],
        "carrier": row["carrier"],
        "status": row["status"],
        "events": [
            {"status": event["status"], "location": event["location"], "at": iso(event["at"])}
            for event in row["events"]
        ],
    }
