"""The page is made of what was measured, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from bench import page

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def stretch(rate: float, **cpu: float) -> dict[str, Any]:
    times = {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    return {"rate": rate, "calls": 10, "cpu": cpu, "foreign": 0.1, "load_cpu": 0.5, "others": {}, **times}


def results() -> dict[str, Any]:
    def one_round(factor: float) -> dict[str, Any]:
        return {
            "sync": [0.5 * factor, 2.0],
            "floor": {"8": stretch(1000 * factor, PostgreSQL=1)},
            "peer": {"8": stretch(20 * factor, web=30, PostgreSQL=10)},
            "shop": {"8": stretch(80 * factor, web=10, PostgreSQL=5) | {"mails": 2.0}},
            "hot": stretch(40 * factor, web=10),
            "refusals": stretch(800, web=1),
            "month": stretch(50, web=20) | {"lines": 80, "lines_rate": 400.0},
            "reads": {
                "search": stretch(500, web=2),
                "list": stretch(30, web=9) | {"lines": 900, "lines_rate": 27_000.0},
            },
        }

    both = ("statements", "commits")
    return {
        "when": "2026-01-31T10:00:00Z", "commit": "abc", "machine": {"processor": "fast"}, "versions": ["Python 3"],
        "plan": {"rounds": 2, "seconds": 8}, "audit": "The books agree.",
        "rounds": [one_round(1.0), one_round(2.0)],
        "memory": {"web": [100.0, 50.0], "PostgreSQL": [20.0]}, "idle": {"web": 1.0, "PostgreSQL": 2.0},
        "order": {
            "statements": {"1": {"orders": {"statements": 4, "commits": 2}, "catalog": dict.fromkeys(both, 0)}},
            "ways": {"1": 3},
            "parts": {"orders": {"statements": 600.0, "its own": 400.0}},
            "request": {"Python": 1000.0, "PostgreSQL": 500.0}, "after": {"Python": 100.0, "PostgreSQL": 50.0},
            "calls": {"request": 7000, "after": 4600},
        },
    }  # fmt: skip


def test_ratios_and_sums() -> None:
    measured = results()
    measured["rounds"][0]["peer"]["8"]["others"] = {"500": 3}
    text = page.tables(measured)
    assert "| answers that were not expected | product 0, django-oscar 3 |" in text
    assert "| the disk keeps a commit in | 1.50 (0.5 to 2.00) ms |" in text
    assert "| 8 | 120 (80.0 to 160) | 30.0 (20.0 to 40.0) | 1,500 (1,000 to 2,000) | 4.00 | 12.5 |" in text
    assert "| the product, 8 clients | 10.0 | 5.00 | 15.0 | 1 | 2.00 |" in text
    assert "| django-oscar, 8 clients | 30.0 | 10.0 | 40.0 | 2.67 |  |" in text
    assert "| one hot product | 60.0 (40.0 to 80.0) | 0.5 |" in text
    assert "**400 lines a second**" in text
    assert "List: 900 lines a page, **27,000 lines a second**." in text
    assert "| **everything** |  | **170** | **3.00** |" in text
    assert "| 1 line: statements | 4 | **4** |" in text
    assert "| **the request** | **600** | **400** | **1,000** |" in text
    assert "| the request | 1,000 | 500 | 1,500 | 7,000 |" in text


def test_markers_are_filled_and_filled_again() -> None:
    text = "before\n<!-- run -->\nold\n<!-- /run -->\nafter\n"
    once = page.fill(text, {"run": "new"})
    assert "old" not in once and once.startswith("before\n") and once.endswith("\nafter\n")
    assert page.fill(once, {"run": "new"}) == once
    with pytest.raises(LookupError, match="other"):
        page.fill(text, {"other": "x"})


def test_the_page_has_a_place_for_every_table() -> None:
    page.fill(page.PAGE.read_text(), dict.fromkeys(page.SECTIONS, ""))


def test_what_grew_is_named() -> None:
    def side(cpu: float) -> dict[str, Any]:
        return {"cpu": cpu, "p50": 2 * cpu, "calls": 9}

    chore = {"wall": 10.0, "cpu": {"Python": 4.0, "PostgreSQL": 1.0}}
    sweep = {"wall": 2000.0, "cpu": {"Python": 500.0}, "holds": 1000, "median_order_before": 9.0}
    sweep |= {"median_order": 11.0, "slowest_order": 40.0}
    text = page.growth(
        {
            "when": "2026-01-31T10:00:00Z", "commit": "abc", "foreign": 0.1,
            "sizes": {"small": {"products": 10}, "large": {"products": 1000}},
            "filled": {"small": 1.0, "large": 100.0}, "audit": {"small": "It agrees.", "large": "It agrees."},
            "calls": {
                "/v1/orders": {"small": [side(5.0)], "large": [side(5.5)]},
                "/v1/products": {"small": [side(5.0)], "large": [side(10.0)]},
                "/gone": {"small": [{"refused": "404 gone"}], "large": [side(1.0)]},
            },
            "chores": {"relay": {"small": [chore] * 2, "large": [chore | {"wall": wall} for wall in (20.0, 30.0)]}},
            "sweep": {"large": sweep},
        }
    )  # fmt: skip
    assert "and the wait: `/v1/products`." in text
    assert "| `/v1/orders` | 5.00 | 5.50 | 1.10 | 10.0 | 11.0 | 1.10 |" in text
    assert "| `/gone` | 404 gone |" in text
    assert "| relay | 5.00 | 5.00 | 1.00 | 10.0 | 25.0 (20.0 to 30.0) | 2.50 (2.00 to 3.00) |" in text
    assert "| large: 1,000 holds | 2.00 | 500 | 9.00 | 11.0 | 40.0 |" in text
