from __future__ import annotations

from contexts.customers import selectors, services
from contexts.customers.public.contracts import Customer, CustomerRecord, Customers, MailedSecret


class LocalCustomers(Customers):
    def customer(self, *, customer_id: int) -> Customer:
        row = selectors.customer(customer_id=customer_id)
        return Customer(customer_id=row["id"], email=row["email"], full_name=row["full_name"], phone=row["phone"])

    def record(self, *, customer_id: int) -> CustomerRecord:
        return selectors.record(customer_id=customer_id)

    def customer_with(self, *, email: str) -> int | None:
        return selectors.customer_with(email=email)

    def address_of(self, *, account: str) -> str:
        return selectors.address_of(account=account)

    def new_secret(self, *, request_id: int) -> MailedSecret:
        return services.secret_for_mail(request_id=request_id)
