"""The audit trail of notices, to look at; sending one again is a call of the API."""

from __future__ import annotations

from django.contrib import admin

from contexts.notifications.models import Attempt, Notification
from eci.staff import ReadOnly


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ["at", "ok", "answer"]
    ordering = ["pk"]


@admin.register(Notification)
class NotificationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "kind", "channel", "recipient", "order_id", "status", "attempts", "created_at"]
    list_filter = ["status", "channel", "kind"]
    search_fields = ["order_id", "recipient"]
    ordering = ["-created_at", "-id"]
    inlines = [AttemptInline]
