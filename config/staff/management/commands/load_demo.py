"""``manage.py load_demo``: load a small shop to try things with, once. Its staff login works in open mode only.

Where contexts are apart, each deployment loads what its own contexts hold.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand

from config.staff import demo
from eci.checks import OWN


class Command(BaseCommand):
    help = "Load the demo shop: warehouses, products, stock and customers. Repeating it changes nothing."
    requires_system_checks = OWN

    def handle(self, *args: Any, **options: Any) -> None:
        login = User.objects.filter(username=demo.USERNAME).first()
        if login is None:
            self._load_shop()
            if "inventory" not in settings.ECI_CONTEXTS:
                return
            login = User.objects.create_superuser(demo.USERNAME)  # made last, as the sign that the demo is complete
        if settings.ECI_OPEN and not login.has_usable_password():
            login.set_password(demo.PASSWORD)
            login.save(update_fields=["password"])

    def _load_shop(self) -> None:
        products = demo.products(currency=settings.ECI_CURRENCY)
        if "catalog" in settings.ECI_CONTEXTS:
            call_command("load_products", products=products)
        if "customers" in settings.ECI_CONTEXTS:
            call_command("load_customers", customers=demo.CUSTOMERS)
        if "inventory" in settings.ECI_CONTEXTS:  # it asks the catalog for the products' ids, wherever that runs
            stock = {product["sku"]: product["stock"] for product in products}
            call_command("load_stock", warehouses=demo.WAREHOUSES, stock=stock)
