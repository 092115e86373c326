"""Pure rules: how a shipment may move, and what the addresses of other shops mean."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contexts.shipping.public.contracts import ShipmentStatus, ShipTo
from eci.addresses import FIELDS, NAME_PARTS, plain
from eci.text import fold

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
CODE = 3  # characters of a country's or a region's, at most


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

_STREET = re.compile(r"(?:shipping)?(?:lines?|(?:street|addr(?:ess)?)(?:line)?|streetaddress)(\d?)")


def ship_to(given: Any, *, address: str = "", city: str = "") -> ShipTo:
    """The whole address, from text or from an object as other shops have it (``address_1``, ``zip``, ``province``).

    Nothing is lost: a field that is not known, or says a second time and differently what another has said, becomes a
    line ``name: value``. ``address`` and ``city`` are used where there is none in it.
    """
    if not isinstance(given, dict):
        return ShipTo(lines=_lines(given) or _lines(address), city=city)
    left = {key: lines for key, value in given.items() if (lines := _lines(value))}
    keys = {plain(key): key for key in reversed(left)}

    def take(names: Iterable[str]) -> str:
        key = next((keys[name] for name in names if keys.get(name) in left), None)
        return ", ".join(left.pop(key)) if key is not None else ""

    fields = {field: take(names) for field, names in FIELDS.items()}
    parts = " ".join(filter(None, (take(names) for names in NAME_PARTS)))
    fields["name"] = fields["name"] or parts
    fields["city"] = fields["city"] or city
    known = set(fields.values())
    others = [parts] if parts and parts not in known else []
    for key, lines in left.items():
        if not _STREET.fullmatch(plain(key)):
            others += [f"{key}: {line}" for line in lines if line not in known]
    return ShipTo(lines=(*dict.fromkeys(_street(left) or _lines(address)), *others), **fields)


def _street(parts: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines of all parts that are a street's, in their order: ``address1`` before ``address2``."""
    found = [(match[1], _lines(value)) for name, value in parts.items() if (match := _STREET.fullmatch(plain(name)))]
    return tuple(line for _, lines in sorted(found, key=lambda part: part[0]) for line in lines)


def is_part_of_address(name: str) -> bool:
    """Whether a field of this name can only be a part of an address. (``lines`` may be those of an order.)"""
    name = plain(name)
    known = {other for names in (*FIELDS.values(), *NAME_PARTS) for other in names}
    return name in known or (bool(_STREET.fullmatch(name)) and name not in ("line", "lines"))


def with_parts(given: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """An address, as text or object, together with parts that were given beside it."""
    return {**(given if isinstance(given, dict) else {"lines": list(_lines(given))}), **parts}


@dataclass(frozen=True)
class Said:
    """A part of an address: ``where`` it is said, under which name, and what."""

    where: str
    name: str
    lines: tuple[str, ...]

    @property
    def about(self) -> str:
        name = plain(self.name)
        street = _STREET.fullmatch(name)
        if street:
            return f"line {street[1] or 1}"
        return next((field for field, names in FIELDS.items() if name in names), name)

    def contradicts(self, other: Said) -> bool:
        """Whether both are about the same and differ. Some of the street's lines are no other street, nor is a code
        (``country_code``) another country."""
        here, there = ([fold(line) for line in one.lines] for one in (self, other))
        if self.about != other.about or not here or not there or ", ".join(here) == ", ".join(there):
            return False
        if self.about == "line 1":
            return not (set(here) <= set(there) or set(there) <= set(here))
        if self.about in ("country", "region") and plain(self.name) != plain(other.name):
            lengths = len(here[0]), len(there[0])
            return lengths[0] == lengths[1] or min(lengths) > CODE
        return True


def said_alone(name: str, value: Any) -> Said:
    return Said(name, name, _lines(value))


def said(given: Any, *, where: str) -> Iterator[Said]:
    """What an address says, its street as one."""
    if not isinstance(given, dict):
        yield Said(where, "lines", _lines(given))
        return
    for name, value in given.items():
        if Said(where, name, ()).about != "line 1":
            yield Said(f"{where}.{name}", name, _lines(value))
    first = next((name for name in given if _STREET.fullmatch(plain(name))), "")
    yield Said(f"{where}.{first}", "lines", _street(given))


def street_and_city(whole: ShipTo) -> tuple[str, str]:
    """What stands in a shipment's ``address`` and ``city``."""
    return ", ".join(whole.lines), whole.city[:CITY]


def _lines(value: Any) -> tuple[str, ...]:
    """The lines of a text, or of the values inside a list or an object."""
    if isinstance(value, dict):
        return tuple(f"{key}: {line}" for key, inner in value.items() for line in _lines(inner))
    if isinstance(value, list | tuple):
        return tuple(line for inner in value for line in _lines(inner))
    text = "" if value is None else str(value)
    if not text:
        return ()
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())
