"""A closed shop, each test with counters of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from eci import limits


@pytest.fixture(autouse=True)
def _fresh_counters(settings: Any) -> Iterator[None]:
    settings.ECI_OPEN = False
    url = settings.ECI_REDIS_URL
    _forget(url)
    yield
    _forget(url)


def _forget(url: str) -> None:
    limits.forget()
    if url:
        import redis

        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter("eci:limit:*"):
                client.delete(key)
