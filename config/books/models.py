"""What the books remember, in the platform database: check-ups and repairs."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class CheckUp(models.Model):
    """One check of everything that may be stuck or at odds. ``items``: what it found; ``lags``: seconds, by name."""

    at = models.DateTimeField(db_default=Now())
    milliseconds = models.PositiveIntegerField()
    orders = models.PositiveIntegerField()
    in_flight = models.PositiveIntegerField()
    items = models.JSONField()
    lags = models.JSONField()

    class Meta:
        app_label = "staff"  # table and migrations were made under this label, and keep it
        ordering = ["-pk"]
        verbose_name = "check-up"

    def __str__(self) -> str:
        return f"{len(self.items)} items at {self.at}"


class Repair(models.Model):
    """A safe action that somebody asked for. Written before the action, completed after it."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=200)
    item = models.CharField(max_length=200)
    problem = models.CharField(max_length=500)
    action = models.CharField(max_length=200)
    outcome = models.CharField(max_length=500, default="begun; no outcome was recorded")

    class Meta:
        app_label = "staff"  # as above
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.item}: {self.outcome}"
