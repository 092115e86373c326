"""Is the shop of this data folder somewhere else than a command would look, or nowhere? Asked by ``manage.py``, before
Django."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_NEUTRAL = {
    *(
        "up",
        "services",
        "help",
        "--help",
        "version",
        "--version",
        "check",
        "service_key",
        "backup_key",
        "contracts",
        "gateway",
    ),
    *("makemigrations", "collectstatic"),
}
_MAKERS = {"prepare", "migrate", "load_demo", "await_migrations"}  # beside servers that run they make another shop

_NO_SHOP_NEEDED = (
    _NEUTRAL
    | _MAKERS
    | {
        *("restore", "rotate_keys", "shell", "dbshell", "test", "runserver", "spectacular"),
        *("diffsettings", "showmigrations", "sqlmigrate", "squashmigrations", "optimizemigration", "makemessages"),
    }
)


def missing(arguments: list[str], *, folder: Path) -> str:
    """Why this command can only fail: the data folder has no shop, and no other databases are named. Empty where it may
    begin."""
    if _is_question(arguments) or arguments[0] in _NO_SHOP_NEEDED or _names_databases():
        return ""
    files = (file for file in folder.glob("*.sqlite3") if file.name != "counters.sqlite3")
    if any(file.stat().st_size for file in files):  # looking at a file that is not there makes an empty one
        return ""
    return f"There is no shop in {folder} yet: make run makes one, and so does manage.py prepare."


def problem(arguments: list[str], *, folder: Path) -> str:
    """Why this command would answer for an empty shop: one whose databases are servers, of which it was not told.

    Empty where all is well. ``folder``: the data folder.
    """
    if _is_question(arguments) or _names_databases():
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


def _is_question(arguments: list[str]) -> bool:
    """For help, which no shop is needed for."""
    return not arguments or bool({"--help", "-h"} & set(arguments))


def _names_databases() -> bool:
    return any(name.startswith("ECI_") and "_DATABASE_URL" in name for name in os.environ)


def _runs(pid_file: Path) -> bool:
    """Whether the server of this file runs: it works in the folder beside the file."""
    try:
        return (Path("/proc") / pid_file.read_text() / "cwd").readlink() == pid_file.with_suffix("").resolve()
    except OSError:
        return False
