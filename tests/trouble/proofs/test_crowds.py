"""Many processes at once: nothing is sold twice, nothing is lost, and no fault of a database reaches a client.

ECI_CROWD multiplies how many come. What was counted is logged: ``pytest --log-cli-level=INFO tests/trouble/proofs``.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest

from tests.trouble.proofs.crowd import gather

pytestmark = [pytest.mark.e2e, pytest.mark.first(7)]

log = logging.getLogger(__name__)

CROWD = int(os.environ.get("ECI_CROWD", "1"))


def test_ten_attempts_at_each_unit(environment: dict[str, str]) -> None:
    units, attempts = 100 * CROWD, 1000 * CROWD

    end = gather(environment, "hot_product", units=units, attempts=attempts)

    log.info("%s", end)
    repeated = end["told"].pop("repeated", 0)
    assert end["told"] == {"201": units, "409 insufficient_stock": attempts - units}, f"{repeated} came again"
    assert (end["sold"], end["orders"], end["captures"]) == (units, units, units)
    require_agreeing_books(end, received=units)
    assert end["on_hand"] == 0


def test_baskets_in_random_order(environment: dict[str, str]) -> None:
    products, units, orders = 60, 100, 160 * CROWD

    end = gather(environment, "many_lines", products=products, units=units * CROWD, orders=orders)

    log.info("%s", end)
    told = end["told"]
    told.pop("repeated", 0)
    assert set(told) <= {"201", "409 insufficient_stock", "cancelled 200"}
    assert told["201"] + told.get("409 insufficient_stock", 0) == orders
    assert (end["orders"], end["captures"]) == (told["201"], told["201"])
    assert end["deadlocks"].get("inventory", 0) == 0, "stock rows are locked in one order"
    require_agreeing_books(end, received=products * units * CROWD)


def require_agreeing_books(end: dict[str, Any], *, received: int) -> None:
    assert (end["on_hand"], end["moved"]) == (received - end["sold"], received - end["sold"])
    assert (end["reserved"], end["held"]) == (0, 0)
    assert end["least"] >= 0
    assert end["findings"] == []
