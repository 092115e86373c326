"""The audit trail of notices, to look at; sending one again is a call of the API."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from contexts.notifications.models import Attempt, Notification


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(_ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ["at", "ok", "answer"]
    ordering = ["pk"]


@admin.register(Notification)
class NotificationAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["id", "kind", "channel", "recipient", "order_id", "status", "attempts", "created_at"]
    list_filter = ["status", "channel", "kind"]
    search_fields = ["order_id", "recipient"]
    ordering = ["-created_at", "-id"]
    inlines = [AttemptInline]
