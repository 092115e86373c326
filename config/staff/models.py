"""The platform's trail, and what groups were given. The app's other tables are declared in the rooms that use them."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import models

from eci.trail import TrailRow


class Trail(TrailRow):
    """Staff's writes to accounts and groups."""


class Grant(models.Model):
    """The permissions that a group was given by ``make_groups``, such as ``catalog.view_product``."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE)
    permissions = models.JSONField()
