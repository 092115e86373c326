"""What is read from /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import machine
from bench.machine import Process, Snapshot

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

_STAT = "7 (a) name) S 3 7 7 0 -1 4194560 1 2 0 0 {} 20 0 1 0 100 1 1 18446744073709551615 0"


def test_a_name_with_parentheses() -> None:
    found = machine.parse(_STAT.format("10 20 30 40"))
    assert found == Process(7, 3, "a) name", 100 * 1000 / os.sysconf("SC_CLK_TCK"))


def test_busy_is_all_but_idleness() -> None:
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    assert machine.busy("cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 9 9") == 63 * tick


def test_tree() -> None:
    processes = {pid: Process(pid, parent, f"p{pid}", pid) for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 1), (9, 0))}
    snapshot = Snapshot(0, 0, processes, {0: [1, 9], 1: [2, 4], 2: [3]})
    assert {process.pid for process in snapshot.tree(1)} == {1, 2, 3, 4}
    assert snapshot.cpu(2) == 5
    assert snapshot.child(1, "p3") == 3
    with pytest.raises(LookupError):
        snapshot.child(2, "p9")


def test_what_an_ended_child_used_counts() -> None:
    before = machine.look().cpu(os.getpid())
    work = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert machine.look().cpu(os.getpid()) - before >= 250


def test_a_child_that_ends_during_the_look_counts_at_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(pid: int, parent: int, used: str) -> None:
        (tmp_path / str(pid)).mkdir(exist_ok=True)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (p) S {parent} 7 7 0 -1 0 1 2 0 0 {used} 20 0")

    def listed(_: Path) -> list[str]:
        yet = list(looks)
        looks.append("look")
        if yet:
            write(10, 1, "1 0 500 0")  # its parent has it by now
            return ["10"]
        return ["10", "11"]  # 11 is gone before it is read

    looks: list[str] = []
    write(10, 1, "1 0 0 0")
    (tmp_path / "stat").write_text("cpu  1 2 4 1000 1000 8 16 32 0 0\n")
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setattr(machine.os, "listdir", listed)
    assert machine.look().cpu(10) == 501 * 1000 / os.sysconf("SC_CLK_TCK")


def test_others_load_is_what_is_not_ours() -> None:
    before = Snapshot(10.0, 1000.0, {1: Process(1, 0, "", 100.0)}, {})
    after = Snapshot(12.0, 4000.0, {1: Process(1, 0, "", 1100.0)}, {})
    assert machine.foreign(before, after, own=1) == 1.0


def test_memory() -> None:
    assert 1 < machine.memory(os.getpid()) < 10_000
    assert machine.memory(2**22 + 1) == 0  # no such process: what has ended meanwhile counts nothing
