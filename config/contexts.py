"""The seven contexts: where each keeps its data, which events it consumes, what beat does for it, where it runs.

Subscriptions stand here, and not only in the consumers' code, because a process that hosts a producer but not its
consumer must still know whom to deliver to; a test holds this table against the registered handlers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PLATFORM = "default"


@dataclass(frozen=True, kw_only=True)
class Context:
    """``beat`` is task name -> seconds between two runs."""

    name: str
    consumes: tuple[str, ...] = ()
    beat: dict[str, float] = field(default_factory=dict)


CONTEXTS: dict[str, Context] = {
    context.name: context
    for context in (
        Context(name="catalog", beat={"catalog.prune": 3600}),
        Context(name="customers", beat={"customers.prune": 3600}),
        Context(name="inventory", beat={"inventory.sweep_holds": 5, "inventory.prune": 3600}),
        Context(
            name="payments",
            consumes=("customers.customer_erased.v1",),
            beat={"payments.settle_unknown": 2, "payments.prune": 3600},
        ),
        Context(name="shipping", consumes=("customers.customer_erased.v1",), beat={"shipping.prune": 3600}),
        Context(
            name="orders",
            consumes=(
                "payments.payment_captured.v1",
                "payments.refund_completed.v1",
                "shipping.shipment_dispatched.v1",
                "shipping.shipment_delivered.v1",
                "inventory.hold_needs_attention.v1",
                "customers.customer_erased.v1",
            ),
            beat={"orders.recover": 1, "orders.prune": 3600},
        ),
        Context(
            name="notifications",
            consumes=(
                "orders.order_confirmed.v1",
                "orders.order_cancelled.v1",
                "orders.order_expired.v1",
                "orders.payment_failed.v1",
                "payments.refund_completed.v1",
                "shipping.shipment_dispatched.v1",
                "customers.password_reset_requested.v1",
                "customers.email_verification_requested.v1",
                "customers.password_changed.v1",
                "customers.refresh_token_reused.v1",
                "customers.customer_erased.v1",
            ),
            beat={"notifications.send_due": 1, "notifications.prune": 3600},
        ),
    )
}

BEAT: dict[str, float] = {"staff.check_up": 300, "platform.prune": 3600}
"""What beat does for no context in particular, on the default queue: task name -> seconds."""


def subscriptions() -> dict[str, tuple[str, ...]]:
    """Event name -> the contexts that consume it."""
    table: dict[str, tuple[str, ...]] = {}
    for context in CONTEXTS.values():
        for event in context.consumes:
            table[event] = (*table.get(event, ()), context.name)
    return table
