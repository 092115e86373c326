"""Registers the contract and the handlers of events when Django starts."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "contexts.notifications"
    label = "notifications"

    def ready(self) -> None:
        from contexts.customers.public import events as customers
        from contexts.inventory.public import events as inventory
        from contexts.notifications import handlers
        from contexts.notifications.local import LocalNotifications
        from contexts.orders.public import events as orders
        from contexts.payments.public import events as payments
        from contexts.shipping.public import events as shipping
        from eci import events
        from eci.calls import rpc

        rpc.serve("notifications", LocalNotifications())
        events.subscribe("notifications", orders.OrderConfirmed, handlers.on_order_confirmed)
        events.subscribe("notifications", orders.OrderCancelled, handlers.on_order_cancelled)
        events.subscribe("notifications", orders.OrderExpired, handlers.on_order_expired)
        events.subscribe("notifications", orders.PaymentFailed, handlers.on_payment_failed)
        events.subscribe("notifications", orders.ReturnRequested, handlers.on_return_requested)
        events.subscribe("notifications", orders.ReturnReceived, handlers.on_return_received)
        events.subscribe("notifications", orders.ReturnRefused, handlers.on_return_refused)
        events.subscribe("notifications", payments.RefundCompleted, handlers.on_refund_completed)
        events.subscribe("notifications", shipping.ShipmentDispatched, handlers.on_shipment_dispatched)
        events.subscribe("notifications", shipping.ShipmentChanged, handlers.on_shipment_changed)
        events.subscribe("notifications", inventory.StockLow, handlers.on_stock_low)
        events.subscribe("notifications", customers.PasswordResetRequested, handlers.on_password_reset_requested)
        events.subscribe(
            "notifications", customers.EmailVerificationRequested, handlers.on_email_verification_requested
        )
        events.subscribe("notifications", customers.EmailChangeRequested, handlers.on_email_change_requested)
        events.subscribe("notifications", customers.PasswordChanged, handlers.on_password_changed)
        events.subscribe("notifications", customers.RefreshTokenReused, handlers.on_refresh_token_reused)
        events.subscribe("notifications", customers.CustomerErased, handlers.on_customer_erased)
