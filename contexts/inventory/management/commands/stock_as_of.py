"""``manage.py stock_as_of TIME [SKU]``: what was there at an instant, of a product or of everything in a warehouse."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from contexts.catalog.public.api import catalog
from contexts.inventory import composed, past, selectors
from contexts.inventory.domain import past_instant
from contexts.inventory.past import StockThen
from eci.checks import OWN
from eci.clock import utcnow
from eci.errors import EciError


class Command(BaseCommand):
    help = "Tell what was on hand, reserved, owed and available at an instant that has passed."
    requires_system_checks = OWN

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("moment", metavar="TIME", help="2026-01-31T20:30:00Z, or a date: its first instant in UTC")
        parser.add_argument("sku", metavar="SKU", nargs="?")
        parser.add_argument("--warehouse", metavar="CODE", help="all products there, instead of one everywhere")

    def handle(self, *args: Any, **options: Any) -> None:
        sku, warehouse = options["sku"], options["warehouse"]
        if (sku is None) == (warehouse is None):
            raise CommandError("Give a SKU, or --warehouse and its code.")
        try:
            moment = past_instant(options["moment"], now=utcnow())
        except ValueError as error:
            raise CommandError(f"{options['moment']}: {error}") from error
        try:
            if sku is None:
                selectors.require_warehouses(codes=[warehouse])
                rows = past.warehouse_as_of(warehouse=warehouse, moment=moment)
                products = composed.products_of(product_ids=[row.product_id for row in rows]) or {}
                for row in rows:
                    known = products.get(row.product_id)
                    self._tell(known.sku if known else f"product {row.product_id}", row)
                return
            product_id = catalog.product_ids(skus=[sku]).get(sku)
        except EciError as error:
            raise CommandError(error.message) from error
        if product_id is None:
            raise CommandError(f"There is no product {sku}.")
        for row in past.product_as_of(product_id=product_id, moment=moment):
            self._tell(sku, row)

    def _tell(self, sku: str, row: StockThen) -> None:
        numbers = f"{row.on_hand} on hand"
        if row.reserved is not None:
            numbers += f", {row.reserved} reserved, {row.owed} owed, {row.available} available"
        self.stdout.write(f"{sku} in {row.warehouse}: {numbers}")
