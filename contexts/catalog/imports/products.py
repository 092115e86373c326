"""Products and their prices, row by row, through catalog's services."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from contexts.catalog import selectors, services
from contexts.catalog.imports import fields
from contexts.catalog.imports.shops import SHOPS
from contexts.catalog.selectors import Row
from contexts.catalog.services import Fresh, Planned
from eci.identity.roles import Role, only
from eci.imports.kinds import Field, Kind, Preset, Values, Verdict, plain, refused
from eci.imports.rows import ImportLineRow, Outcome


def _own(name: str, own: tuple[Field, ...]) -> Preset:
    """Our own exports: nothing in them is to be decoded, so that they come back as they left."""
    columns = {plain(one.name): one.name for one in own}
    return Preset(name=name, signs=(frozenset(columns),), columns=columns, as_written=True)


_NUMBER = re.compile("[1-9][0-9]*")
_OFF_SALE = "The product is off sale, and stays so: a column is_active with TRUE puts it on sale."


class Products(Kind):
    """A row is a product, which is created if there is none with its SKU."""

    name = "products"
    context = "catalog"
    roles = only(Role.CATALOG)
    fields: tuple[Field, ...] = (
        *(fields.SKU, fields.NAME, fields.DESCRIPTION, fields.CATEGORY),
        *(fields.BARCODE, fields.PRICE, fields.CURRENCY, fields.IS_ACTIVE),
    )
    presets = (_own("ECI products", fields), *SHOPS)
    says_more = True
    for_new = "price"
    creates = True
    makes_ahead = True

    def key(self, values: Values) -> str:
        return str(values.get("sku", ""))

    def any_is_new(self, rows: Sequence[Values]) -> bool:
        skus = {self.key(values) for values in rows}
        return len(selectors.product_ids_by_sku(skus=skus)) < len(skus)

    def ahead(self, rows: Sequence[Values]) -> Fresh:
        return services.fresh_products(rows=map(_row, rows))

    def look(self, rows: Sequence[Values], prepared: Any) -> list[Verdict]:
        plans = services.plan_products(rows=[_row(values) for values in rows], create=self.creates)
        unknown = [self.key(values) for plan, values in zip(plans, rows, strict=True) if plan.is_new]
        zeros = selectors.skus_with_zeros(skus={sku for sku in unknown if _NUMBER.fullmatch(sku)})
        verdicts = [self._verdict(plan) for plan in plans]
        for verdict, plan, values in zip(verdicts, plans, rows, strict=True):
            if plan.is_new and (sku := zeros.get(self.key(values))):
                verdict.messages.append(f"There is a product {sku}: has a spreadsheet taken its zeros?")
        return verdicts

    def write(self, rows: Sequence[Values], prepared: Any, *, actor: str) -> list[Verdict]:
        said = [_row(values) for values in rows]
        plans = services.write_products(rows=said, actor=actor, create=self.creates, fresh=prepared)
        return [self._verdict(plan) for plan in plans]

    def _verdict(self, plan: Planned) -> Verdict:
        if plan.refusal:
            return refused(plan.refusal)
        if plan.is_new:
            return Verdict(
                outcome=Outcome.NEW, changes={name: [None, new] for name, (_, new) in plan.changes.items() if new != ""}
            )
        changes = {name: [old, new] for name, (old, new) in plan.changes.items()}
        outcome = Outcome.CHANGED if changes else Outcome.SAME
        return Verdict(
            outcome=outcome, changes=changes, messages=[_OFF_SALE] if plan.stays_off_sale and self.creates else []
        )

    def restore(self, lines: Sequence[ImportLineRow], prepared: Any, *, actor: str) -> list[str]:
        kept = services.restore_products(done=[(line.key, _done(line)) for line in lines], actor=actor)
        return [f"Kept, because somebody has changed it since: {', '.join(names)}." if names else "" for names in kept]


class Prices(Products):
    """A row is a price of a product that there is."""

    name = "prices"
    says_more = False
    for_new = ""
    says = ("price",)
    fields = (fields.SKU, fields.PRICE, fields.CURRENCY)
    presets = (_own("ECI prices", fields), *SHOPS)
    creates = False
    makes_ahead = False


def _row(values: Values) -> Row:
    row = dict(values)
    if price := row.pop("price", ""):
        amount, _, currency = price.partition(" ")
        row |= {"price": Decimal(amount)} | ({"currency": currency} if currency else {})
    else:
        row.pop("currency", None)  # it says what a price is in, and there is none
    return row


def _done(line: ImportLineRow) -> dict[str, tuple[Any, Any]]:
    return {name: (old, new) for name, (old, new) in line.changes.items()}
