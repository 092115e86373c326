"""A stock document while it is being entered: its lines, and what may be done with them before it is booked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils.crypto import salted_hmac

from contexts.inventory.services import stock

MAX_LINES = 500
MAX_UNDONE = 50  # of the last entries that can be taken back
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


class What(StrEnum):
    RECEIVE = "receive"
    COUNT = "count"
    ADJUST = "adjust"
    MOVE = "move"


class Refused(Exception):
    """What was entered cannot be taken, for this reason."""


class Unknown(Refused):
    """No product has this code, or is like it."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """``seen`` is what was on hand, and ``at`` when, as the product was entered first."""

    product_id: int
    units: int
    seen: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.product_id} {self.units} {self.seen} {(self.at - _EPOCH) // _MICROSECOND}"

    @classmethod
    def read(cls, written: str) -> Line:
        """ValueError."""
        product_id, units, seen, at = map(int, written.split(" "))
        return cls(product_id=product_id, units=units, seen=seen, at=_EPOCH + timedelta(microseconds=at))


@dataclass(kw_only=True)
class Document:
    """What is to be booked. ``lines`` by product, the one entered last at the end.

    ``entries``: the last products and units, to be taken back; ``unknown``: texts that no product has.
    """

    what: What = What.RECEIVE
    warehouse: str = ""
    to_warehouse: str = ""
    reference: str = ""
    reason: str = ""
    lines: dict[int, Line] = field(default_factory=dict)
    entries: list[tuple[int, int]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def mark(self) -> str:
        """Changes with what is to be booked: it tells whether the person has seen its differences."""
        seen = [self.what, self.warehouse, *map(str, self.lines.values())]
        return salted_hmac("inventory.document", "\n".join(seen)).hexdigest()

    def add(self, product_id: int, units: int, *, seen: int, at: datetime) -> None:
        """Units of a product that is there already add up. Refused."""
        before = self.lines.get(product_id)
        if before is None and len(self.lines) >= MAX_LINES:
            raise Refused(f"A document has at most {MAX_LINES} lines: book these first.")
        line = before or Line(product_id=product_id, units=0, seen=seen, at=at)
        total = line.units + units
        if abs(total) > stock.MAX_UNITS:
            raise Refused(f"A line has at most {stock.MAX_UNITS:,} units.")
        self.lines.pop(product_id, None)
        self.lines[product_id] = replace(line, units=total)
        self.entries = [*self.entries, (product_id, units)][-MAX_UNDONE:]

    def undo(self) -> None:
        """Take the last entry back."""
        if not self.entries:
            return
        product_id, units = self.entries.pop()
        line = self.lines.pop(product_id, None)
        if line and (line.units != units or any(one == product_id for one, _ in self.entries)):
            self.lines[product_id] = replace(line, units=line.units - units)

    def remove(self, product_id: int) -> None:
        self.lines.pop(product_id, None)
        self.entries = [(one, units) for one, units in self.entries if one != product_id]

    def require_units(self, units: int) -> None:
        """Refused, if nobody can mean that."""
        if self.what == What.COUNT and units < 0:
            raise Refused("A count is 0 or more.")
        if self.what == What.ADJUST and units == 0:
            raise Refused("An adjustment is not 0.")
        if self.what in (What.RECEIVE, What.MOVE) and units < 1:
            raise Refused("Give 1 unit or more.")
