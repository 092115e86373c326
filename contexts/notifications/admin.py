"""Staff's pages: every notification with its attempts, to look at. The desk sends one again, and the API's retry."""

from __future__ import annotations

from django.contrib import admin

from contexts.notifications.models import Attempt, Notification, Trail
from eci.staff import ReadOnly, StaffAdmin, TrailAdmin

admin.site.register(Trail, TrailAdmin)


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ["at", "ok", "answer"]
    ordering = ["pk"]


@admin.register(Notification)
class NotificationAdmin(ReadOnly, StaffAdmin):
    empty_list = "Nobody has been told anything yet. Orders, shipments and refunds do so by themselves."
    list_display = ["id", "kind", "channel", "recipient", "order_id", "status_badge", "actor", "attempts", "created_at"]
    list_filter = ["status", "channel", "kind"]
    search_whole = ("order_id", "recipient")
    search_order = "order_id"
    search_fields = ["order_id", "recipient"]
    grows = True
    ordering = ["-created_at", "-id"]
    inlines = [AttemptInline]
