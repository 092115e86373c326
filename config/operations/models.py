"""What operations remembers, in the platform database: completed backups."""

from __future__ import annotations

from django.db import models


class Backup(models.Model):
    """A completed backup. A restore brings the row back, so the next backup is still due on time."""

    at = models.DateTimeField()
    seconds = models.FloatField()

    class Meta:
        app_label = "staff"  # table and migrations were made under this label, and keep it
        ordering = ["-at"]

    def __str__(self) -> str:
        return str(self.at)
