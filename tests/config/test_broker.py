"""A worker asks again for a broker that was away."""

from __future__ import annotations

import pytest

from config.celery import app
from tools.servers import free_ports


class Enough(Exception):
    pass


@pytest.mark.no_database
def test_a_broker_that_was_away_for_long_is_asked_as_soon_as_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if sum(waits) >= 600:
            raise Enough

    monkeypatch.setattr("kombu.utils.functional.sleep", sleep)
    attempts = 0

    def refused(error: Exception, wait: float) -> float:
        nonlocal attempts
        attempts += 1
        return wait

    [port] = free_ports(1)
    nobody = app.connection_for_read(f"redis://127.0.0.1:{port}/0", transport="redis")
    with pytest.raises(Enough):
        nobody.ensure_connection(refused)
    assert attempts == 300
