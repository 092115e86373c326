"""Many buyers in several processes at once never get more than there is, nor less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PREPARE = """
import django; django.setup()
from django.core.management import call_command
from contexts.inventory import services
call_command("migrate", "inventory", database="inventory", skip_checks=True, verbosity=0)
for code, units in (("A", 101), ("B", 99)):
    services.create_warehouse(code=code, name=code, priority=1, address="", is_active=True)
    more = {"reorder_point": None, "actor": "test", "create_warehouse": False}
    services.receive(product_id=1, warehouse=code, quantity=units, **more)
"""
TELL = """
import django, json; django.setup()
from contexts.inventory import selectors
from contexts.inventory.models import Allocation, Reservation, Stock
left = [row.on_hand - row.reserved for row in Stock.objects.order_by("pk")]
held = [sum(part.quantity for part in hold.allocations.all()) for hold in Reservation.objects.all()]
print(json.dumps([sum(left), min(left), held, [str(finding) for finding in selectors.audit()]]))
"""


@pytest.mark.e2e
def test_every_unit_is_sold_once(tmp_path: Path) -> None:
    environment = os.environ | {"ECI_DATA_DIR": str(tmp_path), "ECI_DEBUG": "1", "ECI_LOG_LEVEL": "ERROR"}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout

    run("-c", PREPARE)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.contexts.inventory.buyers", f"p{number}", "60", "1", "1", "2"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends: Counter[str] = Counter()
    for process in processes:
        output, _ = process.communicate()
        ends += Counter(json.loads(output))
    assert ends == {"reserved": 66, "insufficient": 54}
    left, least, held, findings = json.loads(run("-c", TELL))
    assert (left, least >= 0, set(held), findings) == (2, True, {3}, [])
