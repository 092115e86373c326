"""``make manage``: the way to run commands that works on every shop that ``make run`` starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.world import ROOT, Seed, world

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]


def test_commands_run_on_the_shop_of_the_data_folder(demo_seed: Seed, tmp_path: Path) -> None:
    with world(demo_seed, tmp_path / "var") as own:

        def manage(arguments: str, *more: str) -> subprocess.CompletedProcess[str]:
            command = ["make", "--no-print-directory", "manage", f"ARGS={arguments}", *more]
            return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)

        audit = manage("audit")
        assert (audit.returncode, audit.stdout) == (0, "The books agree: 0 orders checked, 0 under way.\n"), (
            audit.stderr
        )
        assert manage('orders stop "we count the stock"').returncode == 0
        assert manage("orders status").stdout.endswith(": we count the stock\n")
        assert manage("settle nonsense").returncode != 0
        (tmp_path / "var/services").mkdir()
        (tmp_path / "var/services/orders.env").write_text("export ECI_SERVICE_NAME=orders\n")
        nobody = manage("audit", "SERVICE=rest")
        assert nobody.stderr.startswith("There is no deployment rest. There are: orders.\n")
        assert manage("service_key --name", "SERVICE=orders").stdout == "orders\n"
