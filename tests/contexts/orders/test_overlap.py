"""A dispatch and a forced count in the same moment: whichever comes first, the order is never stuck."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import world

pytestmark = pytest.mark.e2e

LEFT = ["order_confirmation", "shipping_confirmation"]
WAITS = ["order_confirmation"]


@pytest.fixture(scope="module")
def ends(seed: world.Seed, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with world.world(seed, tmp_path_factory.mktemp("overlap") / "var", ECI_LOG_LEVEL="CRITICAL") as env:
        overlap = [sys.executable, "-m", "tests.contexts.orders.overlap"]
        run = subprocess.run(overlap, cwd=world.ROOT, env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr[-3000:]
        return json.loads(run.stdout)


def expected(end: dict[str, Any]) -> dict[str, Any]:
    """Either it left, and its units were there; or nobody was told of it, and the order waits or has moved."""
    left = end["dispatch"] == 200
    stock = [["WH001", 0, 0, 0 if left or end["elsewhere"] else 2]]
    shipments = [["WH001", "SHIPPED" if left else "PENDING", [] if left else ["short"]]]
    if end["elsewhere"]:
        stock.append(["WH002", 2, 0 if left else 2, 0])
        if not left:
            shipments = [["WH001", "CANCELLED", []], ["WH002", "PENDING", []]]
    return {
        "status": "SHIPPED" if left else "CONFIRMED",
        "needs_attention": not left and not end["elsewhere"],
        "shipments": shipments,
        "stock": stock,
        "ledger": 2 if end["elsewhere"] else 0,
        "mails": LEFT if left else WAITS,
    }


def test_it_left_or_it_waits(ends: Any) -> None:
    for end in ends["rounds"]:
        assert {name: end[name] for name in expected(end)} == expected(end), end
        assert end["dispatch"] in (200, "insufficient_stock", "invalid_transition"), end
        assert set(end["others"]) <= {200, 201}, end
    assert len(ends["rounds"]) == 16
    assert ends["findings"] == []
