"""Other contexts' events: each changes this context's rows only."""

from __future__ import annotations

from contexts.customers.public.events import CustomerErased
from contexts.shipping import services


def on_customer_erased(event: CustomerErased) -> None:
    services.erase_customer(customer_id=event.customer_id)
