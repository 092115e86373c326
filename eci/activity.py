"""What staff did, as each context tells it of its trail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One write. ``thing`` names what was written, ``before`` and ``after`` are the fields that changed."""

    number: int
    at: datetime
    actor: str
    action: str
    thing: str
    before: dict[str, Any]
    after: dict[str, Any]


class KeepsTrail(ABC):
    """A contract of a context that keeps a trail."""

    @abstractmethod
    def activity(
        self, *, actor: str, thing: str, since: datetime | None, until: datetime, below: int, limit: int
    ) -> tuple[Entry, ...]:
        """The newest entries since then and before ``until``, or at that very moment with a number ``below`` this.

        ``actor``: of this one only. ``thing``: about what begins so. Empty: all.
        """
