"""What the pages and commands that look across contexts remember, in the platform database."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class CheckUp(models.Model):
    """One look at everything that may be stuck or at odds. ``items``: what it found; ``lags``: seconds, by name."""

    at = models.DateTimeField(db_default=Now())
    milliseconds = models.PositiveIntegerField()
    orders = models.PositiveIntegerField()
    in_flight = models.PositiveIntegerField()
    items = models.JSONField()
    lags = models.JSONField()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{len(self.items)} items at {self.at}"


class Backup(models.Model):
    """A backup that was completed. Restored with the rest, so that the next one is due when the last was."""

    at = models.DateTimeField()
    seconds = models.FloatField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return str(self.at)


class Repair(models.Model):
    """A safe action that somebody had done: written before it, completed after it."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=200)
    item = models.CharField(max_length=200)
    problem = models.CharField(max_length=500)
    action = models.CharField(max_length=200)
    outcome = models.CharField(max_length=500, default="begun; no outcome was recorded")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.item}: {self.outcome}"
