"""Shipments for staff to look at. The API changes them, where the rules of their journey hold."""

from __future__ import annotations

from django.contrib import admin

from contexts.shipping.models import Shipment, ShipmentEvent, Trail
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin

admin.site.register(Trail, TrailAdmin)


class EventInline(ReadOnly, admin.TabularInline):
    model = ShipmentEvent
    fields = ["at", "status", "location", "note", "actor"]
    ordering = ["pk"]


@admin.register(Shipment)
class ShipmentAdmin(ReadOnly, StaffAdmin):
    empty_list = "Nothing has been sent yet. A shipment is made when an order is paid."
    list_display = [
        "id",
        "order_id",
        "tracking_no",
        "carrier",
        "warehouse",
        "status_badge",
        "dispatched_at",
        "created_at",
    ]
    list_filter = ["status", "carrier", "warehouse"]
    search_whole = ("order_id", "tracking_no")
    search_order = "order_id"
    search_fields = ["order_id", "tracking_no"]
    grows = True
    ordering = ["-created_at", "-id"]
    inlines = [EventInline]
