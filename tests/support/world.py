"""Databases of its own for a test whose processes are killed, or run side by side, with real commits.

Where the test run stands on servers (their URLs are in its environment), a world is a set of new databases there, else
a folder of SQLite files. Both are copies of a seed, which is migrated once a run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[2]
ON_SERVERS = bool(os.environ.get("ECI_ORDERS_DATABASE_URL"))
_OURS = ("ECI_", "DJANGO_", "EMAIL_", "PROMETHEUS_", "PYTEST_", "CELERY_", "OTEL_")
_MIGRATE = """
import django
django.setup()
from config.operations.migrating import migrate_all
migrate_all(print)
"""
_LOAD_DEMO = """
import django
django.setup()
from django.core.management import call_command
call_command("load_demo")
"""


@dataclass(frozen=True)
class Seed:
    """A migrated world that nobody works in. ``databases``: URL by setting, empty for SQLite."""

    folder: Path
    databases: Mapping[str, str]


def environment(data_dir: Path, databases: Mapping[str, str], **more: str) -> dict[str, str]:
    """The environment of a process of the product: the tests' own without what belongs to the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    ours = {"ECI_DEBUG": "1", "ECI_OPEN": "1", "ECI_DATA_DIR": str(data_dir)}
    ours["ECI_ALLOWED_HOSTS"] = "testserver"  # as Django's test client calls the host
    return kept | ours | dict(databases) | more


def prepare(world: Mapping[str, str], *, demo: bool = False) -> None:
    """Migrate the databases of this environment, and load the demo shop if asked."""
    _run(_MIGRATE + (_LOAD_DEMO if demo else ""), world)


def _run(script: str, world: Mapping[str, str]) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=dict(world) | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def seed(shared: Path, *, demo: bool = False) -> Seed:
    """Made once for all the workers of a test run."""
    folder = shared / ("seed-demo" if demo else "seed")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = folder.with_suffix(".json")
        if not record.exists():
            if demo:
                empty = seed(shared)
                shutil.copytree(empty.folder, folder)
                databases = _new_databases(empty.databases)
                _run(_LOAD_DEMO, environment(folder, databases))
            else:
                folder.mkdir()
                databases = _new_databases()
                prepare(environment(folder, databases))
            record.write_text(json.dumps(databases))
        return Seed(folder, json.loads(record.read_text()))


@contextmanager
def world(seed: Seed | None, data_dir: Path, **more: str) -> Iterator[dict[str, str]]:
    """The environment of a fresh copy of the seed, or of nothing; its databases are gone afterwards."""
    if seed:
        shutil.copytree(seed.folder, data_dir)
    databases = _new_databases(seed.databases if seed else None)
    try:
        yield environment(data_dir, databases, **more)
    finally:
        for url in databases.values():
            _drop(url)


def _new_databases(copied: Mapping[str, str] | None = None) -> dict[str, str]:
    """New databases beside each one that the test run's environment names, empty or copied from others."""
    if not ON_SERVERS:
        return {}
    suffix = uuid.uuid4().hex[:12]
    made = {}
    for setting, url in os.environ.items():
        if setting.startswith("ECI_") and setting.endswith("_DATABASE_URL"):
            made[setting] = _with_name(url, f"{_name(url)}_{suffix}")
            _create(made[setting], copied[setting] if copied else None)
    import redis

    with redis.Redis.from_url(os.environ["ECI_REDIS_URL"]) as counter:
        number = 1 + int(counter.incr("worlds")) % 15
    return made | {"ECI_REDIS_URL": _with_name(os.environ["ECI_REDIS_URL"], str(number))}


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def _with_name(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _create(url: str, template: str | None) -> None:
    if url.startswith("postgres"):
        _on_postgres(url, f'CREATE DATABASE "{_name(url)}"' + (f' TEMPLATE "{_name(template)}"' if template else ""))
        return
    _on_mysql(url, f"CREATE DATABASE `{_name(url)}`")
    if template:
        dumping = ["mariadb-dump", *_mysql_options(template), _name(template)]
        dump = subprocess.run(dumping, check=True, capture_output=True).stdout
        subprocess.run(["mariadb", *_mysql_options(url), _name(url)], input=dump, check=True)


def _drop(url: str) -> None:
    if url.startswith("postgres"):
        _on_postgres(url, f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')
    elif url.startswith("mysql"):
        _on_mysql(url, f"DROP DATABASE IF EXISTS `{_name(url)}`")


def _on_postgres(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(_with_name(url, "postgres"), autocommit=True) as connection:
        connection.execute(statement)


def _on_mysql(url: str, statement: str) -> None:
    subprocess.run(["mariadb", *_mysql_options(url), "-e", statement], check=True)


def _mysql_options(url: str) -> list[str]:
    parts = urlsplit(url)
    at = [f"--host={parts.hostname}", f"--port={parts.port}"]
    return ["--no-defaults", *at, f"--user={parts.username}", f"--password={parts.password}"]
