"""What /proc says: the processor time and memory of process trees, and of everybody else. And how slow the disk is."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
_TICK = 1000 / os.sysconf("SC_CLK_TCK")  # ms
_BLOCK = b"\0" * 4096
_SYNCS = 60
_LOOKS = 20


@dataclass(frozen=True)
class Process:
    """``cpu``: ms of processor time, its own and that of its children that have ended."""

    pid: int
    parent: int
    name: str
    cpu: float


def parse(stat: str) -> Process:
    """From the text of /proc/PID/stat. The name is in parentheses and may hold some itself."""
    head, _, rest = stat.rpartition(")")
    pid, _, name = head.partition(" (")
    fields = rest.split()
    return Process(int(pid), int(fields[1]), name, sum(map(int, fields[11:15])) * _TICK)


@dataclass(frozen=True)
class Snapshot:
    """All processes at one moment. ``busy``: ms that all cores together have worked since the machine started."""

    at: float
    busy: float
    processes: Mapping[int, Process]
    _children: Mapping[int, list[int]] = field(repr=False)

    def tree(self, root: int) -> Iterator[Process]:
        waiting = [root]
        while waiting:
            pid = waiting.pop()
            waiting += self._children.get(pid, ())
            if pid in self.processes:
                yield self.processes[pid]

    def cpu(self, root: int) -> float:
        """ms of the process, of all that stem from it, and of those of them that have ended."""
        return sum(process.cpu for process in self.tree(root))

    def child(self, root: int, name: str) -> int:
        """The process of this name among those that stem from ``root``, nearest first. LookupError."""
        for process in self.tree(root):
            if process.name == name:
                return process.pid
        raise LookupError(f"{name} does not run below process {root}")


def look() -> Snapshot:
    processes = _processes()
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process in processes.values():
        children[process.parent].append(process.pid)
    return Snapshot(time.monotonic(), busy((PROC / "stat").read_text()), processes, children)


def _processes() -> dict[int, Process]:
    for _ in range(_LOOKS):
        processes, complete = {}, True
        for pid in filter(str.isdigit, os.listdir(PROC)):
            try:
                processes[int(pid)] = parse((PROC / pid / "stat").read_text())
            except OSError:  # it has just ended: what it used may count neither there nor at its parent, which was read
                complete = False
        if complete:
            break
    return processes


def busy(stat: str) -> float:
    """ms of user, nice, system, interrupts and what the hypervisor took, from the text of /proc/stat."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK


def foreign(before: Snapshot, after: Snapshot, own: int) -> float:
    """Cores that others kept busy between two moments. ``own``: the root of the processes that are ours."""
    spent = (after.busy - before.busy) - (after.cpu(own) - before.cpu(own))
    return max(0.0, spent / 1000 / (after.at - before.at))


def memory(pid: int) -> float:
    """MB of the process: its own, and its share of what it shares with others (PSS)."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def description() -> dict[str, str]:
    """The machine in words."""
    cpu = next((line for line in (PROC / "cpuinfo").read_text().splitlines() if line.startswith("model name")), ":")
    total = int((PROC / "meminfo").read_text().split(None, 2)[1]) / 1024**2
    release = os.uname()
    return {
        "processor": f"{cpu.partition(':')[2].strip()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{total:.0f} GB",
        "system": f"{release.sysname} {release.release}",
    }


def sync(folder: Path) -> float:
    """ms that the disk under ``folder`` takes to keep 4 kB more of a file, as a commit asks it to: the median."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(_BLOCK)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)
