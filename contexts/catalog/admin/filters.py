"""The filters of the list of products. Each choice says how many products there are of it, some seconds ago at most."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from contexts.catalog import selectors
from contexts.catalog.domain import category_key
from contexts.catalog.models import Product
from contexts.catalog.selectors import Census
from eci.clock import utcnow
from eci.remembered import Remembered

WEEK = timedelta(days=7)
MOST = 40  # categories, those with the most products

_census: Remembered[str, Census] = Remembered(10.0)


def census() -> Census:
    return _census.get_or_load("census", lambda: selectors.census(changed_since=utcnow() - WEEK))


class CategoryFilter(admin.SimpleListFilter):
    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = census().categories[:MOST]
        asked = self.used_parameters.get(self.parameter_name)
        choices = [(label, f"{label} ({count})") for label, count in known]
        if asked and category_key(asked) not in {category_key(label) for label, _ in known}:
            choices.append((asked, asked))
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        asked = self.value()
        return queryset.filter(category_key=category_key(asked)) if asked else queryset


class OnSaleFilter(admin.SimpleListFilter):
    title = "on sale"
    parameter_name = "on_sale"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = census()
        return [("1", f"on sale ({found.on_sale})"), ("0", f"off sale ({found.off_sale})")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return queryset.filter(is_active=self.value() == "1") if self.value() in ("0", "1") else queryset


class ChangedFilter(admin.SimpleListFilter):
    title = "changed"
    parameter_name = "changed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("week", f"in the last seven days ({census().changed})")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        return queryset.filter(updated_at__gte=utcnow() - WEEK) if self.value() == "week" else queryset
