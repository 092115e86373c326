"""Shipping as a Django app: what it answers, and which events it hears."""

from django.apps import AppConfig


class ShippingConfig(AppConfig):
    name = "contexts.shipping"
    label = "shipping"

    def ready(self) -> None:
        from contexts.customers.public.events import CustomerErased
        from contexts.shipping import handlers
        from contexts.shipping.local import LocalShipping
        from eci import events
        from eci.calls import rpc

        rpc.serve("shipping", LocalShipping())
        events.subscribe("shipping", CustomerErased, handlers.on_customer_erased)
