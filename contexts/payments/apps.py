"""Payments as a Django app: what it answers, and which events it hears."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "contexts.payments"
    label = "payments"

    def ready(self) -> None:
        from contexts.customers.public.events import CustomerErased
        from contexts.payments import handlers
        from contexts.payments.local import LocalPayments
        from eci import events
        from eci.calls import rpc

        rpc.serve("payments", LocalPayments())
        events.subscribe("payments", CustomerErased, handlers.on_customer_erased)
