"""Is the shop of this data folder somewhere else than a command would look? Asked by ``manage.py``, before Django."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_NEUTRAL = {"up", "help", "--help", "version", "--version", "check", "service_key", "makemigrations", "collectstatic"}
_MAKERS = {"prepare", "migrate", "load_demo", "await_migrations"}  # beside servers that run they make another shop


def problem(arguments: list[str], *, folder: Path) -> str:
    """Why this command would answer for an empty shop: one whose databases are servers, of which it was not told.

    Empty where all is well. ``folder``: the data folder.
    """
    if not arguments or any(name.startswith("ECI_") and "_DATABASE_URL" in name for name in os.environ):
        return ""
    servers = folder / "servers"
    running = any(map(_runs, servers.glob("*.pid")))
    ran = (servers / "servers.json").exists() and not (folder / "platform.sqlite3").exists()
    free = _NEUTRAL if running else _NEUTRAL | _MAKERS
    if not (running or ran) or arguments[0] in free:
        return ""
    return (
        f"The shop in {folder} {'runs' if running else 'ran'} on servers of its own (make run SERVERS=1), and this "
        "command would look into SQLite files beside them. Run it like this:\n"
        f"    make manage SERVERS=1 ARGS={shlex.quote(shlex.join(arguments))}"
    )


def _runs(pid_file: Path) -> bool:
    """Whether the server of this file runs: it works in the folder beside the file."""
    try:
        return (Path("/proc") / pid_file.read_text() / "cwd").readlink() == pid_file.with_suffix("").resolve()
    except OSError:
        return False
