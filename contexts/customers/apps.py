from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "contexts.customers"
    label = "customers"

    def ready(self) -> None:
        from contexts.customers.local import LocalCustomers
        from eci import rpc

        rpc.serve("customers", LocalCustomers())
