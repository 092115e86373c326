"""Customers as a Django app: at start-up it offers its contract and its kind of imports, and vouches for tokens."""

from __future__ import annotations

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "contexts.customers"
    label = "customers"

    def ready(self) -> None:
        from contexts.customers import selectors
        from contexts.customers.imports import Customers
        from contexts.customers.local import LocalCustomers
        from eci.calls import rpc
        from eci.identity import auth
        from eci.imports import kinds

        rpc.serve("customers", LocalCustomers())
        kinds.serve(Customers())
        auth.vouched_by(lambda claims: selectors.current_claims(claims=claims))
