"""Locking an account of staff ends its logins for ever: unlocked, it signs in anew.

An account is locked when it stops to be active or to be staff. Its sessions are deleted. Tokens carry, by
``second_factor.stamp``, how often it was locked before they were given, wherever they are verified.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.db.models import F

from eci.identity import sessions


class Lock(models.Model):
    """How often an account was locked. Without a row: never."""

    user_id = models.BigIntegerField(primary_key=True)
    times = models.PositiveIntegerField()

    class Meta:
        app_label = "staff"  # the platform's
        default_permissions = ()


def times_locked(user: User) -> int:
    found = Lock.objects.filter(pk=user.pk).values_list("times", flat=True).first()
    return found or 0


def end_logins_of_locked(instance: User, raw: bool = False, **kwargs: Any) -> None:
    """Called before an account is saved."""
    if raw or instance.pk is None or (instance.is_active and instance.is_staff):
        return
    if User.objects.filter(pk=instance.pk, is_active=True, is_staff=True).exists():
        if not Lock.objects.filter(pk=instance.pk).update(times=F("times") + 1):
            Lock.objects.create(pk=instance.pk, times=1)
        sessions.end_all_of(instance.pk)
