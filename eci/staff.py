"""What admin pages of several contexts share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class StaffAdmin(admin.ModelAdmin):
    """The base of every admin: its lists never count a whole table."""

    show_full_result_count = False


class ReadOnly:
    """Mixed into an admin or an inline: rows to look at, changed by services and workflows only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TrailAdmin(ReadOnly, StaffAdmin):
    """The page of a context's trail: ``admin.site.register(Trail, TrailAdmin)``."""

    list_display = ["at", "actor", "action", "thing", "before", "after"]
    search_fields = ["=thing", "=actor"]
    list_filter = ["at"]
