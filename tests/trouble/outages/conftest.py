"""A payment provider in a process of its own, and servers that a test may end or freeze."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_servers import copy_servers
from tests.support.provider_process import ProviderProcess
from tests.support.world import Seed
from tools.servers import Servers


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


@pytest.fixture
def servers(seed: Seed, tmp_path: Path) -> Iterator[Servers]:
    """Running, with the demo shop's data. Durable: what they acknowledged must survive their being killed."""
    copy_servers(seed, data_dir=tmp_path / "var", servers=tmp_path / "servers")
    copied = Servers(tmp_path / "servers", durable=True)
    try:
        copied.start()
        yield copied
    finally:
        for server in copied.all:
            server.thaw()
        copied.stop()
