from __future__ import annotations

from django.contrib import admin

from config.staff.models import Backup, CheckUp, Repair
from eci.staff import ReadOnly


@admin.register(CheckUp)
class CheckUpAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["at", "orders", "in_flight", "found", "milliseconds"]

    @admin.display(description="items")
    def found(self, row: CheckUp) -> int:
        return len(row.items)


@admin.register(Backup)
class BackupAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["at", "seconds"]


@admin.register(Repair)
class RepairAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["at", "actor", "item", "action", "outcome"]
    search_fields = ["item", "actor"]
