"""``manage.py explain SKU``: why a product's stock is what it is, warehouse by warehouse."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contexts.catalog.public.api import catalog
from contexts.inventory import selectors
from eci.checks import OWN
from eci.clock import iso
from eci.errors import ContextUnavailable


class Command(BaseCommand):
    help = "Tell why a product's stock is what it is: who holds what, what is owed, and what moved last."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sku", metavar="SKU")

    def handle(self, *args: Any, **options: Any) -> None:
        sku = options["sku"]
        try:
            product_id = catalog.product_ids(skus=[sku]).get(sku)
        except ContextUnavailable as error:
            raise CommandError(error.message) from error
        if product_id is None:
            raise CommandError(f"There is no product {sku}.")
        rows = selectors.rows_of_product(product_id=product_id)
        if not rows:
            self.stdout.write(f"{sku} (product {product_id}) has never been in a warehouse.")
        for row in rows:
            why = selectors.explanation(row=row)
            self.stdout.write(f"{sku} in {row.warehouse_id}: {why.sentence}")
            for hold in why.holds:
                self.stdout.write(f"    holds {hold.quantity:>6}  {hold.order_id or hold.key}  {hold.why_here}")
            for line in selectors.last_movements(row=row):
                told = f"{iso(line.at)}  {line.reason}  {line.order_id or line.reference}  {line.actor}"
                self.stdout.write(f"    moved {line.delta:>+6}  {told}")
