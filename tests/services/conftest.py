from __future__ import annotations

import pytest

from tests import world


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> world.Seed:
    """Migrated databases with nothing in them, to be copied."""
    own = tmp_path_factory.getbasetemp()
    return world.seed(own if worker_id == "master" else own.parent)
