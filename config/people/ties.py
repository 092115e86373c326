"""Who cannot be taken back as if they had never been there: people with orders or payments."""

from __future__ import annotations

from collections.abc import Collection

from contexts.orders.public.api import orders
from contexts.payments.public.api import payments


def tied(customer_ids: Collection[int]) -> set[int]:
    """Those of these customers who have an order or a payment."""
    return {*orders.who_ordered(customer_ids=customer_ids), *payments.who_paid(customer_ids=customer_ids)}
