"""The seven contexts: whom each calls, which events it consumes, what beat does for it, and how others reach it.

Subscriptions are listed here as well as in the consumers' code: a process that hosts a producer but not its consumer
must still know where to deliver. A test compares this table with the registered handlers.

Service names, ports and paths stand here once. The gateway and ``manage.py services`` are made from them; tests hold
compose's files, Kubernetes' manifests, Prometheus' jobs and the docs against them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

PLATFORM = "default"
LOCAL, NOWHERE = "local", "none"
GATEWAY_PORT = 8088  # of all contexts together
GRAFANA_PORT = 3030  # where catalog-service has Grafana's own, 3000


@dataclass(frozen=True, kw_only=True)
class Context:
    """``calls``: the contexts whose public API it uses. ``imports``: the kinds of files that it takes. ``beat``: task
    name -> seconds between two runs. ``looks``: task name -> seconds between two looks of the worker, which runs it if
    it has work (``eci/chores.py``); beat wakes it as well, in case nobody looks.

    ``port``: of its service, where all seven are on one machine; ``cluster_port``: in a cluster, where each has an
    address of its own; ``demo_port``: a second one, for demonstrations. ``paths``: what follows ``/v1/`` in its URLs.
    """

    name: str
    service: str
    port: int
    demo_port: int
    cluster_port: int
    paths: tuple[str, ...]
    calls: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    beat: dict[str, float] = field(default_factory=dict)
    looks: dict[str, float] = field(default_factory=dict)


CONTEXTS: dict[str, Context] = {
    context.name: context
    for context in (
        Context(
            name="catalog",
            service="catalog-service",
            port=3000,
            demo_port=8081,
            cluster_port=3000,
            paths=("products", "categories", "imports"),
            imports=("products", "prices"),
            beat={"catalog.run_imports": 60, "catalog.prune": 3600},
            looks={"catalog.run_imports": 2},
        ),
        Context(
            name="customers",
            service="customer-service",
            port=3001,
            demo_port=8082,
            cluster_port=3000,
            paths=("users", "customers", "staff"),
            imports=("customers",),
            beat={"customers.run_imports": 60, "customers.prune": 3600},
            looks={"customers.run_imports": 2},
        ),
        Context(
            name="inventory",
            service="inventory-service",
            port=3002,
            demo_port=8083,
            cluster_port=3000,
            paths=("inventory", "warehouses"),
            calls=("catalog",),
            imports=("stock_counts", "receipts"),
            beat={
                "inventory.sweep_holds": 10,
                "inventory.run_imports": 60,
                "inventory.seal_ledger": 300,
                "inventory.verify_ledger": 3600,
                "inventory.count": 60,
                "inventory.value_stock": 3600,
                "inventory.prune": 3600,
            },
            looks={"inventory.run_imports": 2},
        ),
        Context(
            name="payments",
            service="payment-service",
            port=8002,
            demo_port=8084,
            cluster_port=8002,
            paths=("payments",),
            consumes=("customers.customer_erased.v1",),
            beat={"payments.settle_unknown": 60, "payments.count": 60, "payments.prune": 3600},
            looks={"payments.settle_unknown": 8},
        ),
        Context(
            name="shipping",
            service="shipment-service",
            port=8001,
            demo_port=8086,
            cluster_port=8001,
            paths=("shipments",),
            consumes=("customers.customer_erased.v1",),
            beat={"shipping.prune": 3600},
        ),
        Context(
            name="orders",
            service="order-service",
            port=8000,
            demo_port=8085,
            cluster_port=8000,
            paths=("orders",),
            calls=("catalog", "customers", "inventory", "payments", "shipping"),
            consumes=(
                "orders.order_confirmed.v1",
                "orders.order_cancelled.v1",
                "payments.payment_captured.v1",
                "payments.payment_reviewed.v1",
                "payments.refund_completed.v1",
                "shipping.shipment_dispatched.v1",
                "shipping.shipment_delivered.v1",
                "inventory.hold_needs_attention.v1",
                "inventory.allocation_short.v1",
                "inventory.allocation_covered.v1",
                "customers.customer_erased.v1",
            ),
            beat={"orders.recover": 60, "orders.roll_up": 60, "orders.count": 60, "orders.prune": 3600},
            looks={"orders.recover": 4},
        ),
        Context(
            name="notifications",
            service="notification-service",
            port=8080,
            demo_port=8087,
            cluster_port=8080,
            paths=("notifications",),
            calls=("catalog", "customers", "inventory", "orders"),
            consumes=(
                "orders.order_confirmed.v1",
                "orders.order_cancelled.v1",
                "orders.order_expired.v1",
                "orders.payment_failed.v1",
                "orders.return_requested.v1",
                "orders.return_received.v1",
                "orders.return_refused.v1",
                "payments.refund_completed.v1",
                "shipping.shipment_dispatched.v1",
                "shipping.shipment_changed.v1",
                "inventory.stock_low.v1",
                "customers.password_reset_requested.v1",
                "customers.email_verification_requested.v1",
                "customers.email_change_requested.v1",
                "customers.password_changed.v1",
                "customers.refresh_token_reused.v1",
                "customers.customer_erased.v1",
            ),
            beat={"notifications.send_due": 60, "notifications.mail_low_stock": 600, "notifications.prune": 3600},
            looks={"notifications.send_due": 4},
        ),
    )
}

CHECK_UP = "staff.check_up"
BEAT: dict[str, float] = {CHECK_UP: 300, "platform.prune": 3600, "platform.mail_staff": 10}
"""Beat's tasks that belong to no context, on the default queue: task name -> seconds between two runs.

The check-up looks across contexts, so it runs only where orders does."""


def subscriptions() -> dict[str, tuple[str, ...]]:
    """Event name -> the contexts that consume it."""
    table: dict[str, tuple[str, ...]] = {}
    for context in CONTEXTS.values():
        for event in context.consumes:
            table[event] = (*table.get(event, ()), context.name)
    return table


def imports() -> dict[str, str]:
    """Kind of import -> the context that takes it."""
    return {kind: context.name for context in CONTEXTS.values() for kind in context.imports}


def places(text: str) -> dict[str, str]:
    """Read where each context runs from text like ``inventory=https://stock.example,*=local``. ImproperlyConfigured.

    A place is ``local``, the URL of the process that hosts the context, or ``none`` if this process never calls it.
    ``*`` stands for every context not named; without it, those are local.
    """
    given: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, place = entry.partition("=")
        if name not in (*CONTEXTS, "*") or name in given:
            raise ImproperlyConfigured(f"ECI_SERVICES: '{entry}': there is no context '{name}', or it is named twice.")
        if place not in (LOCAL, NOWHERE) and not _is_base_url(place):
            raise ImproperlyConfigured(f"ECI_SERVICES: '{entry}': a context is 'local', 'none' or an http(s) URL.")
        given[name] = place.rstrip("/")
    found = {name: given.get(name, given.get("*", LOCAL)) for name in CONTEXTS}
    missing = "; ".join(_missing(found))
    if missing:
        raise ImproperlyConfigured(f"ECI_SERVICES gives no place to contexts that this process needs: {missing}.")
    return found


def _is_base_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)


def _missing(found: Mapping[str, str]) -> Iterator[str]:
    if LOCAL not in found.values():
        yield "none is local, so the process would have nothing to do"
    for name, context in CONTEXTS.items():
        if found[name] != LOCAL:
            continue
        consumers = [other.name for other in CONTEXTS.values() if any(e.startswith(f"{name}.") for e in other.consumes)]
        needs = dict.fromkeys(context.calls, "calls") | dict.fromkeys(consumers, "sends its events to")
        for other, why in needs.items():
            if found[other] == NOWHERE:
                yield f"{name} {why} {other}"


def service_name(found: Mapping[str, str]) -> str:
    """The default name of this process among the others: ``eci``, or the contexts it hosts."""
    local = [name for name, place in found.items() if place == LOCAL]
    return "eci" if len(local) == len(found) else "-".join(local)
