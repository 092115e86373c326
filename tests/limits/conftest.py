"""A closed shop. Each test has counters of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _fresh_counters(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ECI_OPEN = False
    settings.ECI_COUNTERS_FILE = tmp_path / "counters.sqlite3"
    url = settings.ECI_REDIS_URL
    _forget(url)
    yield
    _forget(url)


def _forget(url: str) -> None:
    if url:
        import redis

        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter("eci:limit:*"):
                client.delete(key)
