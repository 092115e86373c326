"""A payment provider in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.provider_process import ProviderProcess


@pytest.fixture(scope="session")
def provider_process() -> Iterator[ProviderProcess]:
    made = ProviderProcess()
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def provider(provider_process: ProviderProcess, tmp_path: Path) -> ProviderProcess:
    provider_process.begin(tmp_path / "provider.sqlite3")
    return provider_process
