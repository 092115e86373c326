"""The product as its users start it, on the demo shop's data."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.support import world
from tests.support.product import Running, running


@pytest.fixture
def own_product(demo_seed: world.Seed, tmp_path: Path) -> Running:
    """``with own_product(SETTING="…") as product``: a product that no other test sees."""
    return partial(running, demo_seed, tmp_path / "var")
