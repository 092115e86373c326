"""The arithmetic of figures."""

from __future__ import annotations

import pytest

from bench.figures import Spread, ratios, short

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def test_spread() -> None:
    assert Spread.of([30.0, 10.0, 20.0]) == Spread(20.0, 10.0, 30.0, 3)
    assert str(Spread.of([30.0, 10.0, 20.0])) == "20.0 (10.0 to 30.0)"
    assert str(Spread.of([20.0])) == str(Spread.of([20.01, 20.02])) == "20.0"
    with pytest.raises(ValueError, match="no round"):
        Spread.of([])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1234, "0.123"), (0.5, "0.5"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_three_digits(value: float, text: str) -> None:
    assert short(value) == text


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([100.0, 10.0], [50.0, 2.0]) == Spread(3.5, 2.0, 5.0, 2)
