"""Orders, as Django loads them: the contract and the handlers of other contexts' events are registered."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "contexts.orders"
    label = "orders"

    def ready(self) -> None:
        from contexts.customers.public.events import CustomerErased
        from contexts.inventory.public.events import AllocationCovered, AllocationShort, HoldNeedsAttention
        from contexts.orders import handlers
        from contexts.orders.local import LocalOrders
        from contexts.orders.public.events import OrderCancelled, OrderConfirmed
        from contexts.payments.public.events import PaymentCaptured, PaymentReviewed, RefundCompleted
        from contexts.shipping.public.events import ShipmentDelivered, ShipmentDispatched
        from eci import events
        from eci.calls import rpc

        rpc.serve("orders", LocalOrders())
        events.subscribe("orders", OrderConfirmed, handlers.on_sales_changed)
        events.subscribe("orders", OrderCancelled, handlers.on_sales_changed)
        events.subscribe("orders", PaymentCaptured, handlers.on_payment_captured)
        events.subscribe("orders", PaymentReviewed, handlers.on_payment_reviewed)
        events.subscribe("orders", RefundCompleted, handlers.on_refund_completed)
        events.subscribe("orders", ShipmentDispatched, handlers.on_shipment_dispatched)
        events.subscribe("orders", ShipmentDelivered, handlers.on_shipment_delivered)
        events.subscribe("orders", HoldNeedsAttention, handlers.on_hold_needs_attention)
        events.subscribe("orders", AllocationShort, handlers.on_allocation_changed)
        events.subscribe("orders", AllocationCovered, handlers.on_allocation_changed)
        events.subscribe("orders", CustomerErased, handlers.on_customer_erased)
