"""Cursor paging by key set: a page starts after a row, not at a number, so it stays stable while rows are added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet


@dataclass(frozen=True, kw_only=True)
class Paging:
    """Where a page starts and how long it is. ``order``: a field, ``-`` before it for descending; ties go by ``pk``."""

    limit: int
    order: str
    after: tuple[Any, Any] | None = None  # the (field, pk) of the row beside the page
    backwards: bool = False

    @property
    def field(self) -> str:
        return self.order.lstrip("-")

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    def slice(self, queryset: QuerySet[Any, Any], *, pk: str = "pk") -> list[Any]:
        """The page's rows and one more on its far side when there is one, in the order they are read."""
        down = self.descending != self.backwards
        if self.after is not None:
            value, key = self.after
            beyond = "lt" if down else "gt"
            queryset = queryset.filter(
                Q(**{f"{self.field}__{beyond}": value}) | Q(**{self.field: value, f"{pk}__{beyond}": key})
            )
        sign = "-" if down else ""
        return list(queryset.order_by(f"{sign}{self.field}", f"{sign}{pk}")[: self.limit + 1])
