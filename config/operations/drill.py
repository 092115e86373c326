"""A restore drill: restores the newest kept backup into scratch databases, audits them, and says how long it took.

Nothing of the shop is touched, and nothing runs on the scratch databases: no worker, no beat, no payment provider.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import dj_database_url
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from config.contexts import LOCAL, PLATFORM
from config.environment import secret
from config.operations.backup import MANIFEST, Say
from config.operations.keeping import NEWEST, fetched
from config.operations.snapshots import Failed

_OURS = ("_DATABASE_URL", "_DATABASE_URL_FILE", "_REPLICA_URL", "_REPLICA_URL_FILE")


def drill(say: Say) -> float:
    """Restore, migrate and audit the newest kept backup somewhere else. The seconds that took. Failed."""
    began = time.monotonic()
    with fetched(NEWEST, say) as folder, ExitStack() as made:
        data = folder.with_name("drill")
        data.mkdir()
        databases: dict[str, str] = {}
        for row in json.loads((folder / MANIFEST).read_text())["databases"]:
            url = made.enter_context(_scratch(row["aliases"][0], row["engine"], data))
            databases |= {_variable(alias): url for alias in row["aliases"]}
        elsewhere = [name for name, place in settings.ECI_SERVICES.items() if place != LOCAL]
        if elsewhere:  # an audit would hold the scratch databases against what those say of today
            say(f"Restored only, and neither migrated nor audited: these run elsewhere: {', '.join(elsewhere)}.")
        command = [sys.executable, "manage.py", "restore", str(folder), "--drill", *([] if elsewhere else ["--audit"])]
        environment = _environment(data, databases)
        child = subprocess.run(  # noqa: S603
            command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
        )
        say(child.stdout.rstrip())
        if child.returncode:
            raise Failed(f"The drill failed: {child.stderr.strip()[-500:]}")
        seconds = time.monotonic() - began
    say(f"RTO {seconds:.1f} s: so long it takes from nothing to restored databases.")
    return seconds


def _variable(alias: str) -> str:
    return f"ECI_{'PLATFORM' if alias == PLATFORM else alias.upper()}_DATABASE_URL"


def _environment(data: Path, databases: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(_OURS)}
    return kept | databases | {"ECI_DATA_DIR": str(data), "ECI_KEYS_DIR": str(data / "keys")}


@contextmanager
def _scratch(alias: str, engine: str, data: Path) -> Iterator[str]:
    """The URL of a new and empty database, which is gone afterwards. Failed."""
    name = f"drill_{alias}_{uuid.uuid4().hex[:8]}"
    if engine == "sqlite":
        yield f"sqlite:///{quote(str(data / name))}.sqlite3"
        return
    server = {"postgresql": settings.ECI_DRILL_POSTGRES_URL, "mysql": settings.ECI_DRILL_MYSQL_URL}[engine]
    url = server or secret(_variable(alias))
    connection = _connection(alias, server)
    quoted = connection.ops.quote_name(name)
    try:
        _execute(connection, f"CREATE DATABASE {quoted}{_collation(alias) if engine == 'mysql' else ''}")
    except DatabaseError as error:
        raise Failed(
            f"The account of {alias} cannot make a scratch database: {error} Let it, or name a server and an account "
            "that may: ECI_DRILL_POSTGRES_URL, ECI_DRILL_MYSQL_URL."
        ) from error
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        # PostgreSQL may still be ending the child's connections.
        _execute(connection, f"DROP DATABASE {quoted}{' WITH (FORCE)' if engine == 'postgresql' else ''}")
        connection.close()


def _connection(alias: str, server: str) -> BaseDatabaseWrapper:
    connection: Any = connections[alias].copy()
    if server:
        told = dj_database_url.parse(server)
        connection.settings_dict |= {part: told[part] for part in ("HOST", "PORT", "USER", "PASSWORD", "NAME")}
    connection.settings_dict["OPTIONS"].pop("pool", None)  # pools go by alias, and this may be another server
    return connection  # type: ignore[no-any-return]


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _collation(alias: str) -> str:
    """That of the shop's own database, so that migrations make columns like its own."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT @@character_set_database, @@collation_database")
        row = cursor.fetchone()
    assert row is not None
    return f" CHARACTER SET {row[0]} COLLATE {row[1]}"
