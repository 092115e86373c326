"""The page of the platform's trail."""

from __future__ import annotations

from django.contrib import admin

from config.staff.models import Trail
from eci.staff import TrailAdmin

admin.site.register(Trail, TrailAdmin)
