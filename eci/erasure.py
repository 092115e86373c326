"""Erased customers: each context keeps their ids and nothing else, so that it can erase data that arrives later."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Now

from eci import text

_BATCH = 500
_PAGE = 5_000


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


def _rows(context: str) -> QuerySet[Any, Any]:
    rows: QuerySet[Any, Any] = apps.get_model(context, "Erasure")._default_manager.all()
    return rows


def record(context: str, customer_id: int, **sought: str) -> None:
    """Note that the customer is erased, inside the unit of work that erases. Repeating it changes nothing.

    ``sought``: the ``email_digest`` by which the context will look for what they did as a guest.
    """
    rows = _rows(context)
    rows.bulk_create([rows.model(customer_id=customer_id, **sought)], ignore_conflicts=True)


def erased(context: str) -> QuerySet[ErasureRow, int]:
    """The ids of all erased customers, for a condition on the context's other tables."""
    return _rows(context).values_list("customer_id", flat=True)


# -- who has something elsewhere ---------------------------------------------------------------------------------------

_asked: list[Callable[[Collection[int]], Collection[int]]] = []


def asks(tied: Callable[[Collection[int]], Collection[int]]) -> None:
    """Have ``tied`` asked which of some customers have something in contexts that customers do not know."""
    _asked[:] = [tied]


def tied(customer_ids: Collection[int]) -> set[int]:
    """Those of these customers to whom something in another context belongs. Called outside of any transaction.
    ContextUnavailable."""
    return {one for ask in _asked if customer_ids for one in ask(customer_ids)}


# -- what they did as guests ------------------------------------------------------------------------------------------


def sought(context: str) -> set[str]:
    """The digests of the mailboxes of erased people who have not been looked for among the guests."""
    return set(_rows(context).exclude(email_digest=None).values_list("email_digest", flat=True))


def find_guests(context: str, guests: QuerySet[Any, Any], column: str, erase: Callable[[list[str]], None]) -> None:
    """Hand the addresses of erased people to ``erase``, some at a time. One look through the guests' addresses, which
    stand in this indexed column, serves all who are sought, and is no part of a transaction."""
    if digests := sought(context):
        theirs = [address for address in _each(guests, column) if email_digest(address) in digests]
        for addresses in _in_batches(theirs):
            erase(addresses)
        for found in _in_batches(list(digests)):
            _rows(context).filter(email_digest__in=found).update(email_digest=None)


def _each(guests: QuerySet[Any, Any], column: str) -> Iterator[str]:
    """Every address once. It is read in pages, so that no long reading keeps a database from cleaning up."""
    distinct = guests.order_by(column).values_list(column, flat=True).distinct()
    page = list(distinct[:_PAGE])
    while page:
        yield from page
        page = list(distinct.filter(**{f"{column}__gt": page[-1]})[:_PAGE])


def _in_batches(values: Sequence[str]) -> Iterator[list[str]]:
    return (list(values[start : start + _BATCH]) for start in range(0, len(values), _BATCH))


# -- how rows are erased ----------------------------------------------------------------------------------------------


def blank(rows: QuerySet[Any, Any], **values: Any) -> None:
    """Give all rows of the queryset these values, with which they no longer match it.

    This goes by primary keys, because MariaDB runs the subquery of an UPDATE once for every row of the table.
    """
    while keys := list(rows.order_by().values_list("pk", flat=True)[:_BATCH]):
        rows.model._default_manager.filter(pk__in=keys).update(**values)
