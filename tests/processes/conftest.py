"""The product as its users start it, on the demo shop's data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support import world
from tests.support.product import DemoShop, Product, Running, running


@pytest.fixture(scope="package")
def product(demo_seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One running product that most tests of this folder share. It ends with them: an idle one costs time too."""
    with running(demo_seed, tmp_path_factory.mktemp("product") / "var") as started:
        yield started


@pytest.fixture
def demo(product: Product) -> DemoShop:
    return DemoShop(product.api)


@pytest.fixture
def own_product(demo_seed: world.Seed, tmp_path: Path) -> Running:
    """``with own_product(SETTING="…") as product``: a product that no other test sees."""
    return partial(running, demo_seed, tmp_path / "var")
