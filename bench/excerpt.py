"""Cut ``bench/data/online-retail-excerpt.csv.gz`` out of a month: ``python -m bench.excerpt MONTH.csv.gz``.

The same month gives the same bytes. The excerpt has the first few invoices of every fate and oddity, the related
purchases and returns of customers who cancelled, and the largest invoice; the month's first invoices fill it up.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench import retail
from bench.retail import COLUMNS, Invoice, Plan

TARGET = Path(__file__).resolve().parent / "data/online-retail-excerpt.csv.gz"
SIZE = 200
OF_EACH = 5


def choose(plan: Plan) -> set[str]:
    """The invoice numbers of the excerpt."""
    seen: Counter[str] = Counter()
    chosen = {max(plan.invoices, key=lambda invoice: len(invoice.lines)).number}
    for invoice in plan.invoices:
        kinds = set(_kinds(invoice, plan))
        if any(seen[kind] < OF_EACH for kind in kinds):
            seen.update(kinds)
            chosen |= {invoice.number, *_related(invoice, plan)}
    for invoice in plan.invoices:
        if len(chosen) < SIZE:
            chosen.add(invoice.number)
    return chosen


def _related(invoice: Invoice, plan: Plan) -> Iterator[str]:
    """Other invoices that decide a cancellation's fate: same customer, a product in common."""
    if invoice.is_cancellation and invoice.customer:
        skus = {line.sku for line in invoice.lines}
        for other in plan.invoices:
            if other.customer == invoice.customer and skus & {line.sku for line in other.lines}:
                yield other.number


def _kinds(invoice: Invoice, plan: Plan) -> Iterator[str]:
    yield from (plan.fates[line.number] for line in invoice.lines)
    yield from (f"code {line.sku}" for line in invoice.lines if not line.sku[:5].isdecimal())
    if not invoice.customer:
        yield "cancelled guest" if invoice.is_cancellation else "guest"
    if len({line.sku for line in invoice.lines}) < len(invoice.lines):
        yield "same product twice"


def cut(month: Path) -> bytes:
    """The excerpt, compressed, with its lines exactly as in the month."""
    chosen = choose(retail.plan(retail.read(month)))
    out = io.StringIO(newline="")
    with gzip.open(month, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        writer = csv.DictWriter(out, rows.fieldnames or COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["InvoiceNo"] in chosen)
    return gzip.compress(out.getvalue().encode(), mtime=0)


if __name__ == "__main__":
    TARGET.write_bytes(cut(Path(sys.argv[1])))
