"""One product on the demo shop's data, for all the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import world
from tests.support.product import DemoShop, Product, running


@pytest.fixture(scope="package")
def product(demo_seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """It ends with the last of them: an idle one costs time too."""
    with running(demo_seed, tmp_path_factory.mktemp("product") / "var") as started:
        yield started


@pytest.fixture
def demo(product: Product) -> DemoShop:
    return DemoShop(product.api)
