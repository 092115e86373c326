from django.apps import AppConfig


class ShippingConfig(AppConfig):
    name = "contexts.shipping"
    label = "shipping"

    def ready(self) -> None:
        from contexts.shipping.local import LocalShipping
        from eci import rpc

        rpc.serve("shipping", LocalShipping())
