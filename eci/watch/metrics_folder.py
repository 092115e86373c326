"""The folder of files in which all processes of one service count. Their master makes it before it forks.

prometheus_client decides whether it counts in files when it is first imported, so this module must not import it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "eci-metrics-"


def begin() -> None:
    """Make a new folder, without the counts of earlier runs. Only the master calls this.

    A master that was forked with the product loaded leaves the folder it inherited, and makes one of its own. That lies
    in the machine's own temporary folder: on a volume that several machines share, process ids could be the same.
    """
    if "prometheus_client" in sys.modules and VARIABLE not in os.environ:
        raise RuntimeError("prometheus_client was imported before its folder was made, so it would count in memory.")
    _forget_killed_masters()
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def is_own() -> bool:
    """Whether this process made the folder."""
    return Path(os.environ.get(VARIABLE, "")).name.startswith(f"{_PREFIX}{os.getpid()}-")


def end() -> None:
    """Remove the folder, when the master that made it ends."""
    if is_own():
        shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _forget_killed_masters() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        master = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if master == str(os.getpid()) or not (master.isdigit() and alive(int(master))):
            shutil.rmtree(folder, ignore_errors=True)
