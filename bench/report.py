"""Print the table at the end of a replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from bench.checks import percentile
from bench.retail import PLACED, Plan, outcome

if TYPE_CHECKING:
    from bench.replay import Results

SHOWN = 20  # problems of each kind
_WIDTH = 66


def table(plan: Plan, results: Results, *, retries: int, audit: tuple[bool, str]) -> str:
    rows = ["", *_invoices(plan, results), *_lines(results), *_trade(plan, results), *_speed(results, retries)]
    rows += _troubles("totals mismatched", results.mismatches)
    rows += _troubles("unexpected answers", results.unexpected)
    rows += _troubles("products with units unaccounted for", results.unaccounted)
    agrees, verdict = audit
    rows.append(_row("audit", "clean" if agrees else "FINDINGS"))
    rows.append(f"    {verdict}")
    return "\n".join(rows)


def _invoices(plan: Plan, results: Results) -> list[str]:
    counts = Counter(outcome(invoice, results.fates) for invoice in plan.invoices)
    return _counted("invoices", counts)


def _lines(results: Results) -> list[str]:
    return _counted("lines", Counter(results.fates.values()))


def _counted(title: str, counts: Mapping[str, int]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [_row(title, sum(counts.values())), *(_row(f"  {name}", count) for name, count in ordered), ""]


def _trade(plan: Plan, results: Results) -> list[str]:
    bought, stock = results.bought.values(), results.stock.values()
    return [
        *_counted("returns, one for each order", results.returns),
        _row("returned lines credited at another price than the order's", plan.other_price),
        "",
        *_counted("stock adjustments", results.adjustments),
        _row("units received", sum(each.received for each in stock)),
        _row("units sold", sum(each.sold for each in stock)),
        _row("units returned", sum(each.returned for each in stock)),
        _row("units adjusted", sum(each.adjusted for each in stock)),
        _row("orders split over warehouses", results.split),
        _row("turnover with tax and shipping", _money(sum((order.total for order in bought), Decimal(0)))),
        _row("refunded", _money(sum((order.refunded for order in bought), Decimal(0)))),
        "",
    ]


def _speed(results: Results, retries: int) -> list[str]:
    seconds = results.play_seconds or 1.0
    lines = sum(fate in PLACED for fate in results.fates.values())
    return [
        _row("seconds of trade", f"{results.play_seconds:,.1f}"),
        _row("orders/s", f"{len(results.bought) / seconds:,.1f}"),
        _row("lines/s", f"{lines / seconds:,.1f}"),
        _row("p50 of an order, ms", f"{percentile(results.latencies, 50) * 1000:,.0f}"),
        _row("p95 of an order, ms", f"{percentile(results.latencies, 95) * 1000:,.0f}"),
        _row("calls repeated (503, 429, connection lost)", retries),
        "",
    ]


def _troubles(title: str, found: list[str]) -> list[str]:
    more = [f"    and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    return [_row(title, len(found)), *(f"    {text}" for text in found[:SHOWN]), *more]


def _row(label: str, value: int | str) -> str:
    return f"{label:<{_WIDTH}} {value if isinstance(value, str) else f'{value:,}':>14}"


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"
