from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "contexts.payments"
    label = "payments"

    def ready(self) -> None:
        from contexts.payments.local import LocalPayments
        from eci import rpc

        rpc.serve("payments", LocalPayments())
