"""Pure rules of how a shipment may move."""

from __future__ import annotations

import base64
import secrets

from contexts.shipping.public.contracts import ShipmentStatus

JOURNEY = (
    ShipmentStatus.PENDING,
    ShipmentStatus.PACKED,
    ShipmentStatus.SHIPPED,
    ShipmentStatus.IN_TRANSIT,
    ShipmentStatus.OUT_FOR_DELIVERY,
    ShipmentStatus.DELIVERED,
)
WAITING = frozenset({ShipmentStatus.PENDING, ShipmentStatus.PACKED})
LEFT = frozenset(JOURNEY) - WAITING | {ShipmentStatus.RETURNED}
NEVER_LEFT = WAITING | {ShipmentStatus.CANCELLED}

STANDARD_CARRIER = "standard"


def may_move(current: ShipmentStatus, wanted: ShipmentStatus) -> bool:
    """Forward along the journey, with or without skipping; cancelled while it waits; returned once it has left."""
    if current not in JOURNEY:
        return False
    if wanted is ShipmentStatus.CANCELLED:
        return current in WAITING
    if wanted is ShipmentStatus.RETURNED:
        return current in LEFT
    return JOURNEY.index(wanted) > JOURNEY.index(current)


def new_tracking_no() -> str:
    """``ECI`` and 60 random bits. The number alone lets anybody follow the shipment, so nobody must guess it."""
    return "ECI" + base64.b32encode(secrets.token_bytes(8)).decode()[:12]
