from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests import world
from tests.e2e.product import Product, Shop, running


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> world.Seed:
    """The demo shop's data, to be copied."""
    own = tmp_path_factory.getbasetemp()
    return world.seed(own if worker_id == "master" else own.parent, demo=True)


@pytest.fixture(scope="session")
def product(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One running product that most tests share."""
    with running(seed, tmp_path_factory.mktemp("product") / "var") as started:
        yield started


@pytest.fixture
def shop(product: Product) -> Shop:
    return Shop(product.api)


Running = Callable[..., AbstractContextManager[Product]]


@pytest.fixture
def own_product(seed: world.Seed, tmp_path: Path) -> Running:
    """``with own_product(SETTING="…") as product``: a product that no other test sees."""
    return partial(running, seed, tmp_path / "var")
