"""Stock rows that become low: fewer units are available than their reorder point. It is announced in the transaction
that does it, once for each time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from contexts.inventory import selectors
from contexts.inventory.models import Stock
from contexts.inventory.public.events import StockLow
from eci import outbox


@contextmanager
def watched(*, product_ids: Collection[int]) -> Iterator[None]:
    """Announce the rows of these products, which are locked, that become low inside."""
    before = {row.pk for row in _in_use(product_ids) if row.available >= row.reorder_point}
    yield
    if before:
        tell(
            crossed=(
                (row, row.available, row.version)
                for row in _in_use(product_ids)
                if row.pk in before and row.available < row.reorder_point
            )
        )


def _in_use(product_ids: Collection[int]) -> Iterable[Any]:
    return selectors.with_available(rows=Stock.objects.filter(product_id__in=product_ids, warehouse__is_active=True))


def tell(*, crossed: Iterable[tuple[Stock, int, int]]) -> None:
    """Announce these rows, each with what is available and the version that it has now."""
    outbox.emit(
        "inventory",
        *(
            StockLow(
                inventory_id=row.pk,
                product_id=row.product_id,
                warehouse=row.warehouse_id,
                on_hand=row.on_hand,
                available=available,
                reorder_point=row.reorder_point,
                version=version,
            )
            for row, available, version in crossed
        ),
    )
