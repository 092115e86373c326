"""The platform's trail, what groups were given, and mails to staff. The app's other tables are declared in the rooms
that use them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.functions import Now

from eci.trail import TrailRow


class Trail(TrailRow):
    """Staff's writes to accounts and groups."""


class Grant(models.Model):
    """The permissions that a group was given by ``make_groups``, such as ``catalog.view_product``."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE)
    permissions = models.JSONField()


class OwnPermission(models.Model):
    """A verb that was part of another permission before it had one of its own, and has been given to all who had it."""

    code = models.CharField(max_length=200, primary_key=True)  # such as ``orders.cancel``


class SecurityMail(models.Model):
    """A mail that tells a member of staff what happened to their account. ``config/staff/mails.py`` sends it."""

    class Kind(models.TextChoices):
        SET_UP = "second_factor_set_up"
        REMOVED = "second_factor_removed"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    kind = models.CharField(max_length=40, choices=Kind.choices)
    at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(null=True, db_default=Now())  # of the next try; None: sent, or given up

    class Meta:
        indexes = [models.Index(fields=["next_at"], name="staff_mail_next")]
