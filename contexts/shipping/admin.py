"""Shipments to look at: they are changed through the API, where the rules of their journey hold."""

from __future__ import annotations

from django.contrib import admin

from contexts.shipping.models import Shipment, ShipmentEvent
from eci.staff import ReadOnly


class EventInline(ReadOnly, admin.TabularInline):
    model = ShipmentEvent
    fields = ["at", "status", "location", "note", "actor"]
    ordering = ["pk"]


@admin.register(Shipment)
class ShipmentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "order_id", "tracking_no", "carrier", "warehouse", "status", "dispatched_at", "created_at"]
    list_filter = ["status", "carrier", "warehouse"]
    search_fields = ["order_id", "tracking_no"]
    ordering = ["-created_at", "-id"]
    inlines = [EventInline]
