"""Cursor paging: a page starts after a given row, not at a number, so added rows do not shift it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Q, QuerySet

from eci.statements import Shaped


@dataclass(frozen=True, kw_only=True)
class Paging(Shaped):
    """Where a page starts, and its length.

    ``order`` is a field, with ``-`` before it for descending. Rows with the same value are ordered by primary key.
    """

    limit: int
    order: str
    after: tuple[Any, Any] | None = None  # (value, pk) of the row beside the page; None for the first page
    backwards: bool = False

    @property
    def field(self) -> str:
        return self.order.lstrip("-")

    @property
    def descending(self) -> bool:
        return self.order.startswith("-")

    def values(self) -> tuple[Any, ...]:
        return self.after or ()

    def with_values(self, *values: Any) -> Paging:
        return replace(self, after=values or None)  # type: ignore[arg-type]

    def slice(self, queryset: QuerySet[Any, Any], *, pk: str = "pk") -> list[Any]:
        """The page's rows in the order of reading, and one more if the list goes on after them."""
        return list(self.of(queryset, pk=pk))

    def of(self, queryset: QuerySet[Any, Any], *, pk: str = "pk") -> QuerySet[Any, Any]:
        """As ``slice``, not yet read."""
        down = self.descending != self.backwards
        if self.after is not None:
            value, key = self.after
            beyond = "lt" if down else "gt"
            queryset = queryset.filter(
                Q(**{f"{self.field}__{beyond}": value}) | Q(**{self.field: value, f"{pk}__{beyond}": key})
            )
        sign = "-" if down else ""
        return queryset.order_by(f"{sign}{self.field}", f"{sign}{pk}")[: self.limit + 1]
