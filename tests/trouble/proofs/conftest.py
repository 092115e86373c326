"""A world of its own for each test whose processes use the shop at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import world


@pytest.fixture
def environment(seed: world.Seed, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A world of the test's own."""
    with world.world(seed, tmp_path / "var") as made:
        yield made
