"""No task of a day is without its test, and enough of them are done with keys alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tasks import TASKS

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

BY_KEYS = 8


def done() -> Iterator[tuple[int, bool]]:
    """The number of each task that the days do, and whether they do it with keys alone."""
    for node in ast.walk(ast.parse(Path(__file__).with_name("test_days.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "task":
            yield ast.literal_eval(node.args[0]), any(one.arg == "keys_only" for one in node.keywords)


def test_the_days_do_every_task() -> None:
    assert {number for number, _ in done()} == set(TASKS)
    assert len({number for number, by_keys in done() if by_keys}) >= BY_KEYS
