"""Staff's pages of check-ups and repairs: to look at only."""

from __future__ import annotations

from django.contrib import admin

from config.books.models import CheckUp, Repair
from eci.staff import ReadOnly, StaffAdmin


@admin.register(CheckUp)
class CheckUpAdmin(ReadOnly, StaffAdmin):
    list_display = ["at", "orders", "in_flight", "found", "milliseconds"]

    @admin.display(description="items")
    def found(self, row: CheckUp) -> int:
        return len(row.items)


@admin.register(Repair)
class RepairAdmin(ReadOnly, StaffAdmin):
    list_display = ["at", "actor", "item", "action", "outcome"]
    search_fields = ["item", "actor"]
