"""Shipping's rows as docs/api.md shows them."""

from __future__ import annotations

from typing import Any

from contexts.shipping import local
from eci.clock import iso
from eci.http.present import as_json


def shipment(row: Any) -> dict[str, Any]:
    return as_json(local.shipment(row))


def shipment_with_events(row: Any) -> dict[str, Any]:
    events = [
        {
            "status": event.status,
            "location": event.location,
            "note": event.note,
            "actor": event.actor,
            "at": iso(event.at),
        }
        for event in row.events.all()
    ]
    return shipment(row) | {"events": events}


def shipment_for_customer(row: Any) -> dict[str, Any]:
    """Without staff's names and notes."""
    shown = shipment_with_events(row)
    return shown | {"events": [event | {"note": "", "actor": ""} for event in shown["events"]]}


def tracking(row: Any) -> dict[str, Any]:
    """For anybody: without the recipient, their address and staff's notes."""
    return {
        "tracking_no": row.tracking_no,
        "carrier": row.carrier,
        "status": row.status,
        "events": [
            {"status": event.status, "location": event.location, "at": iso(event.at)} for event in row.events.all()
        ],
    }
