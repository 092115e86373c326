from __future__ import annotations

from contexts.customers import selectors
from contexts.customers.public.contracts import Customer, Customers


class LocalCustomers(Customers):
    def customer(self, *, customer_id: int) -> Customer:
        row = selectors.customer(customer_id=customer_id)
        return Customer(customer_id=row["id"], email=row["email"], full_name=row["full_name"], phone=row["phone"])
