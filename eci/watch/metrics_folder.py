"""Where the processes of one service count together: files in a folder that their master makes before it forks.

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
    """Called by the master alone: a new folder, in which nothing of an earlier run is counted again.

    A master that was forked with the product loaded leaves the folder it inherited for one of its own. It lies in the
    machine's own temporary folder: on a volume that several machines share, their process ids would be the same.
    """
    if "prometheus_client" in sys.modules and VARIABLE not in os.environ:
        raise RuntimeError("prometheus_client was imported before its folder was there: it would count in memory.")
    _forget_killed_masters()
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")


def is_own() -> bool:
    """Did this process make the folder?"""
    return Path(os.environ.get(VARIABLE, "")).name.startswith(f"{_PREFIX}{os.getpid()}-")


def end() -> None:
    """The master that made the folder ends."""
    if is_own():
        shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _forget_killed_masters() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        master = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if master == str(os.getpid()) or not (master.isdigit() and alive(int(master))):
            shutil.rmtree(folder, ignore_errors=True)
