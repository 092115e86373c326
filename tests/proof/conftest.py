from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import world


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> world.Seed:
    """Migrated databases without a row, to be copied."""
    own = tmp_path_factory.getbasetemp()
    return world.seed(own if worker_id == "master" else own.parent)


@pytest.fixture
def environment(seed: world.Seed, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A world of the test's own."""
    with world.world(seed, tmp_path / "var") as made:
        yield made
