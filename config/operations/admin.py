"""Staff's page of completed backups: to look at only."""

from __future__ import annotations

from django.contrib import admin

from config.operations.models import Backup
from eci.staff import ReadOnly, StaffAdmin


@admin.register(Backup)
class BackupAdmin(ReadOnly, StaffAdmin):
    list_display = ["at", "seconds"]
