"""PostgreSQL, MariaDB and Redis that belong to one test, which may kill them: durable, with the demo shop's data."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

from tests.support.world import Seed, environment, prepare
from tools.servers import Servers


def copy_servers(seed: Seed, *, data_dir: Path, servers: Path) -> None:
    """Put them into the folder ``servers``, not started, and what else the shop has into ``data_dir``. They are made
    once a run."""
    made = seed.folder.with_name("durable")
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(made)
    shutil.copytree(made / "var", data_dir)
    shutil.copytree(made / "servers", servers)


def _make(folder: Path) -> None:
    aside = folder.with_suffix(".new")
    running = Servers(aside / "servers", durable=True)
    try:
        running.start()
        prepare(environment(aside / "var", running.environment()), demo=True)
    finally:
        running.stop()
    state = aside / "servers" / "servers.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"ports": {}}))  # each copy has ports of its own
    aside.rename(folder)
