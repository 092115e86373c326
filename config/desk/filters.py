"""Filters of the admin's lists that need another context's answer."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from config.desk.asking import unless_away
from contexts.inventory.public.api import inventory
from eci.remembered import Remembered
from eci.staff import add_filter

MOST = 5_000  # products that a statement names, so that it is quick

_kept: Remembered[str, tuple[int, ...] | None] = Remembered(10.0)


class StockFilter(SimpleListFilter):
    """Products of which no open warehouse has a unit available. Not there while inventory is away."""

    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self._without = _kept.get_or_load("without", lambda: _without(model_admin.get_queryset(request)))
        return [] if self._without is None else [("none", f"none available ({len(self._without)})")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "none" or self._without is None:
            return queryset
        return queryset.filter(pk__in=self._without[:MOST])


def _without(products: QuerySet[Any]) -> tuple[int, ...] | None:
    there = unless_away("inventory", [], inventory.in_stock)
    if there is None:
        return None
    known = frozenset(there)
    ids = products.order_by("-pk").values_list("pk", flat=True)
    return tuple(pk for pk in ids.iterator(chunk_size=10_000) if pk not in known)


def install() -> None:
    add_filter("catalog.product", StockFilter)
