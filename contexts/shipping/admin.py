"""Shipments to look at: they are changed through the API, where the rules of their journey hold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from contexts.shipping.models import Shipment, ShipmentEvent


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EventInline(_ReadOnly, admin.TabularInline):
    model = ShipmentEvent
    fields = ["at", "status", "location", "note", "actor"]
    ordering = ["pk"]


@admin.register(Shipment)
class ShipmentAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["id", "order_id", "tracking_no", "carrier", "warehouse", "status", "dispatched_at", "created_at"]
    list_filter = ["status", "carrier", "warehouse"]
    search_fields = ["order_id", "tracking_no"]
    ordering = ["-created_at", "-id"]
    inlines = [EventInline]
