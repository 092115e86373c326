"""docs/contracts is what the code promises, and no change of it leaves other versions behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.contexts import CONTEXTS
from config.operations.management.commands import contracts
from eci.calls.promises import broken
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_is_written_down_is_promised(context: str) -> None:
    written = json.loads((ROOT / f"docs/contracts/{context}.json").read_text())
    assert broken(written, contracts.of(context)) == []
    assert contracts.of(context) == written, "run manage.py contracts"


def test_a_broken_promise_is_not_written_down(tmp_path: Path) -> None:
    call_command("contracts", folder=tmp_path)
    file = tmp_path / "inventory.json"
    promised = json.loads(file.read_text())
    promised["calls"]["count_by_hand"] = promised["calls"]["audit"]
    file.write_text(json.dumps(promised))
    with pytest.raises(CommandError, match="inventory: count_by_hand is gone."):
        call_command("contracts", folder=tmp_path)
    assert "count_by_hand" in file.read_text(), "nothing is changed"
