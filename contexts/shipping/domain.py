"""Pure rules: how a shipment may move, and what the addresses of other shops mean."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from contexts.shipping.public.contracts import ShipmentStatus, ShipTo

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
UNDER_WAY = frozenset(JOURNEY) - {ShipmentStatus.DELIVERED}

STANDARD_CARRIER = "standard"
CITY = 200  # characters


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


# -- addresses --------------------------------------------------------------------------------------------------------

_FIELDS = {
    "name": ("name", "fullname", "recipient", "recipientname", "contactname"),
    "company": ("company", "companyname", "organization", "organisation"),
    "city": ("city", "town", "locality"),
    "region": ("region", "province", "state", "county", "regioncode", "provincecode", "statecode"),
    "postal_code": ("postalcode", "postcode", "zip", "zipcode"),
    "country": ("country", "countrycode", "countryname"),
    "phone": ("phone", "tel", "telephone", "phonenumber", "mobile"),
}
_NAME_PARTS = (("firstname", "givenname"), ("lastname", "familyname", "surname"))
_STREET = re.compile(r"(?:shipping)?(?:lines?|(?:street|addr(?:ess)?)(?:line)?|streetaddress)(\d?)")


def ship_to(given: Any, *, address: str = "", city: str = "") -> ShipTo:
    """The whole address, from text or from an object as other shops have it (``address_1``, ``zip``, ``province``).

    Nothing is lost: a field that is not known, or says a second time and differently what another has said, becomes a
    line ``name: value``. ``address`` and ``city`` are used where there is none in it.
    """
    if not isinstance(given, dict):
        return ShipTo(lines=_lines(given) or _lines(address), city=city)
    left = {key: lines for key, value in given.items() if (lines := _lines(value))}
    plain = {_plain(key): key for key in reversed(left)}

    def take(names: Iterable[str]) -> str:
        key = next((plain[name] for name in names if plain.get(name) in left), None)
        return ", ".join(left.pop(key)) if key is not None else ""

    fields = {field: take(names) for field, names in _FIELDS.items()}
    parts = " ".join(filter(None, (take(names) for names in _NAME_PARTS)))
    fields["name"] = fields["name"] or parts
    fields["city"] = fields["city"] or city
    street: list[tuple[str, tuple[str, ...]]] = []
    said = set(fields.values())
    others = [parts] if parts and parts not in said else []
    for key, lines in left.items():
        match = _STREET.fullmatch(_plain(key))
        if match:
            street.append((match[1], lines))
        else:
            others += [f"{key}: {line}" for line in lines if line not in said]
    ordered = [line for _, lines in sorted(street, key=lambda part: part[0]) for line in lines]
    return ShipTo(lines=(*dict.fromkeys(ordered or _lines(address)), *others), **fields)


def is_part_of_address(name: str) -> bool:
    """Whether a field of this name can only be a part of an address. (``lines`` may be those of an order.)"""
    plain = _plain(name)
    known = {other for names in (*_FIELDS.values(), *_NAME_PARTS) for other in names}
    return plain in known or (bool(_STREET.fullmatch(plain)) and plain not in ("line", "lines"))


def with_parts(given: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """An address, as text or object, together with parts that were given beside it."""
    return {**(given if isinstance(given, dict) else {"lines": list(_lines(given))}), **parts}


def street_and_city(whole: ShipTo) -> tuple[str, str]:
    """What stands in a shipment's ``address`` and ``city``."""
    return ", ".join(whole.lines), whole.city[:CITY]


def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _lines(value: Any) -> tuple[str, ...]:
    """The lines of a text, or of the values inside a list or an object."""
    if isinstance(value, dict):
        return tuple(f"{key}: {line}" for key, inner in value.items() for line in _lines(inner))
    if isinstance(value, list | tuple):
        return tuple(line for inner in value for line in _lines(inner))
    text = "" if value is None else str(value)
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())
