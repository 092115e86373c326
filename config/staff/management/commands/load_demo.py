"""``manage.py load_demo``: a small shop to try things with, once, in open mode only."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.staff import demo


class Command(BaseCommand):
    help = "Load the demo shop: warehouses, products, stock, customers and a staff login. Repeating it changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ECI_OPEN:
            raise CommandError("The demo has a well-known password: it is loaded in open mode only.")
        users = get_user_model().objects
        if users.filter(username=demo.USERNAME).exists():  # made last: the demo is complete
            return
        products = demo.products()
        ids: dict[str, int] = {}
        call_command("load_products", products=products, ids=ids)
        call_command("load_customers", customers=demo.CUSTOMERS)
        stock = {ids[product["sku"]]: product["stock"] for product in products}
        call_command("load_stock", warehouses=demo.WAREHOUSES, stock=stock)
        users.create_superuser(demo.USERNAME, "admin@example.com", demo.PASSWORD)
