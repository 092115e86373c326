"""Customers as a Django app: at start-up it offers its contract to the other contexts, and vouches for tokens."""

from __future__ import annotations

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "contexts.customers"
    label = "customers"

    def ready(self) -> None:
        from contexts.customers import selectors
        from contexts.customers.local import LocalCustomers
        from eci.calls import rpc
        from eci.identity import auth

        rpc.serve("customers", LocalCustomers())
        auth.vouched_by(lambda claims: selectors.current_claims(claims=claims))
