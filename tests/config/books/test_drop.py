"""The race for a few units: what makes it right, and where it is not run."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.books.drop import Race

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

RIGHT: dict[str, Any] = {
    "units": 5, "buyers": 12, "sold": 5, "refused": 7, "others": {}, "left": 0, "seconds": 1.0, "waits": [0.1, 0.2]
}  # fmt: skip


def test_every_unit_is_sold_once_and_nobody_is_told_anything_else() -> None:
    assert Race(**RIGHT).is_right
    assert Race(**RIGHT | {"buyers": 3, "sold": 3, "refused": 0, "left": 2}).is_right


@pytest.mark.parametrize("wrong", [{"sold": 6}, {"sold": 4}, {"left": 1}, {"left": -1}, {"others": {"500": 1}}])
def test_a_race_that_ends_otherwise_is_not_right(wrong: dict[str, Any]) -> None:
    assert not Race(**RIGHT | wrong).is_right


def test_it_is_not_run_where_real_money_is_taken(settings: Any) -> None:
    settings.ECI_GATEWAY = "http"
    with pytest.raises(CommandError, match="real money"):
        call_command("drop")


@pytest.mark.parametrize("option", ["--units=0", "--buyers=-1", "--at-once=0"])
def test_numbers_that_cannot_be_are_named(option: str) -> None:
    with pytest.raises(CommandError, match=option.partition("=")[0]):
        call_command("drop", option)


def test_a_shop_that_does_not_answer_is_named() -> None:
    with pytest.raises(CommandError, match="No shop answers at http://127.0.0.1:9"):
        call_command("drop", "--url=http://127.0.0.1:9")
