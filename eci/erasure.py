"""Erased customers: each context keeps their ids and nothing else, so that it can erase data that arrives later."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from eci import text

_BATCH = 500


class ErasureRow(models.Model):
    """A customer about whom this context must know nothing any more."""

    customer_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True


def email_digest(address: str) -> str:
    """A name for a mailbox that only who has the shop's secret can make from its address, so that events may carry it
    instead of the address."""
    try:
        key = text.email_key(address)
    except ValueError:
        key = address.lower()
    return hmac.new(settings.SECRET_KEY.encode(), f"erased:{key}".encode(), hashlib.sha256).hexdigest()


def record(context: str, customer_id: int) -> None:
    """Note that the customer is erased, inside the unit of work that erases. Repeating it changes nothing."""
    rows = apps.get_model(context, "Erasure")._default_manager
    rows.bulk_create([rows.model(customer_id=customer_id)], ignore_conflicts=True)


def erased(context: str) -> QuerySet[ErasureRow, int]:
    """The ids of all erased customers, for a condition on the context's other tables."""
    rows: QuerySet[ErasureRow, int] = apps.get_model(context, "Erasure")._default_manager.values_list(
        "customer_id", flat=True
    )
    return rows


def blank(rows: QuerySet[Any, Any], **values: Any) -> None:
    """Give all rows of the queryset these values, with which they no longer match it.

    This goes by primary keys, because MariaDB runs the subquery of an UPDATE once for every row of the table.
    """
    while keys := list(rows.order_by().values_list("pk", flat=True)[:_BATCH]):
        rows.model._default_manager.filter(pk__in=keys).update(**values)
