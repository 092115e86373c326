"""Filters and searches of the admin's lists that need another context's answer."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from config.desk.asking import unless_away
from contexts.inventory.public.api import inventory
from contexts.orders.public.api import orders
from eci.remembered import Remembered
from eci.staff import add_filter, find_orders_by

MOST = 5_000  # products that a statement names, so that it is quick

_kept: Remembered[str, tuple[int, ...]] = Remembered(60.0)


class StockFilter(SimpleListFilter):
    """Products of which no open warehouse has a unit available. They are looked for when somebody asks for them: that
    reads the ids of all products."""

    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if self.used_parameters.get(self.parameter_name) == "none":
            away: list[str] = []
            products = model_admin.get_queryset(request)
            unless_away("inventory", away, lambda: _kept.get_or_load("without", lambda: _without(products)))
            if away:
                messages.warning(request, "Stock cannot be asked for just now, so these are all products.")
        known = _kept.get("without")
        return [("none", "none available" if known is None else f"none available ({len(known)})")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        without = _kept.get("without") if self.value() == "none" else None
        return queryset if without is None else queryset.filter(pk__in=without[:MOST])


def _without(products: QuerySet[Any]) -> tuple[int, ...]:
    known = frozenset(inventory.in_stock())
    ids = products.order_by("-pk").values_list("pk", flat=True)
    return tuple(pk for pk in ids.iterator(chunk_size=10_000) if pk not in known)


def install() -> None:
    add_filter("catalog.product", StockFilter)
    find_orders_by(lambda name: unless_away("orders", [], lambda: orders.named(name=name)) or ())
