"""One database as a backup sees it: hold its writers for a moment, open a snapshot, and save that while they go on.

A lock of the database itself holds the writers. So every writer waits, from whatever process or tool, and it costs
nothing while no backup is made. Readers are never held.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import DatabaseError, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from config.unfinished import MARK
from eci.databases import FULL, database_of, kind_of
from eci.db import context_of

_NOTHING = 256 * 1024  # bytes: with so little left, SQLite fails


class Busy(Exception):
    """The writers could not be held in time. They go on."""


class Failed(Exception):
    """A database, or its dump or restore program, failed. The message says how."""


def told(failure: Exception) -> str:
    """What is wrong, for the person who gave the command."""
    if isinstance(failure, Error) and kind_of(failure) == FULL:
        return f"The disk of the {context_of(database_of(failure) or 'default')} database is full. Make room there."
    return str(failure)


def full_or(error: Exception, place: Path) -> str:
    """What kept us from writing to ``place``, in words: a full disk is named by the folder that is on it."""
    code = getattr(error, "errno", None)
    try:
        # SQLite reports an I/O error where it could not make a file larger.
        is_full = code in (errno.ENOSPC, errno.EDQUOT) or (
            isinstance(error, sqlite3.Error) and shutil.disk_usage(place).free < _NOTHING
        )
    except OSError:
        is_full = False
    if is_full:
        return f"The disk of {place} is full. Make room there, and try again."
    return f"{place}: {(isinstance(error, OSError) and error.strerror) or error}"


class Store(ABC):
    """A database, and the file that its content is saved to or restored from.

    To save, call in this order:

    1. ``connect``
    2. ``pause``, which holds the writers
    3. ``open``, then ``opened``, which wait for the snapshot
    4. ``resume``, which lets the writers go on
    5. ``save``
    6. ``close``, even after an error
    """

    suffix: str

    def __init__(self, alias: str, folder: Path) -> None:
        self.alias = alias
        self.file = folder / f"{'platform' if alias == 'default' else alias}.{self.suffix}"
        self.locker: Any = connections[alias].copy()
        self.reader: Any = connections[alias].copy()

    def connect(self) -> None:
        """Do all that takes time and can happen before the pause."""
        self.locker.ensure_connection()
        self.reader.ensure_connection()

    @abstractmethod
    def pause(self, patience: float) -> None:
        """Wait until open writes end, and let no new one begin. Busy after ``patience`` seconds."""

    @abstractmethod
    def open(self) -> None:
        """Begin to open the snapshot, while the writers are held."""

    def opened(self) -> None:  # noqa: B027  # usually there is nothing to wait for
        """Wait until the snapshot is open. Failed."""

    @abstractmethod
    def resume(self) -> None:
        """Let the writers go on; harmless when they already do."""

    @abstractmethod
    def save(self) -> None:
        """Write the snapshot to the file. Failed."""

    @abstractmethod
    def in_use(self) -> bool:
        """Is anybody else connected?"""

    def prepare(self) -> None:  # noqa: B027  # servers have nothing to prepare
        """Do what may run out of space and changes nothing yet. Failed."""

    def discard(self) -> None:  # noqa: B027
        """Delete what was prepared, where it was not used."""

    @abstractmethod
    def restore(self) -> None:
        """Replace the database's content with the file's. Failed."""

    @functools.cached_property
    def tables(self) -> list[str]:
        with self.reader.cursor() as cursor:
            return [str(name) for name in self.reader.introspection.table_names(cursor) if name != MARK]

    def close(self) -> None:
        with suppress(DatabaseError):
            self.resume()
        self.locker.close()
        self.reader.close()

    def _lock(self, *statements: str) -> None:
        try:
            with self.locker.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        except DatabaseError as error:
            self.resume()
            raise Busy(f"{self.alias}: {error}") from error

    def _client(self, *programs: str) -> tuple[list[str], list[str], dict[str, str]]:
        """The first of the programs that is installed, its options to connect, and its environment. Failed."""
        found = next(filter(None, map(shutil.which, programs)), None)
        if found is None:
            raise Failed(f"{programs[0]}, which saves and restores {self.alias}, is not installed here.")
        (_, *options), more = self.reader.client.settings_to_cmd_args_env(self.reader.settings_dict, [])
        return [found], options, os.environ | (more or {})


class Sqlite(Store):
    suffix = "sqlite3"

    def pause(self, patience: float) -> None:
        end = time.monotonic() + patience
        with self.locker.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")  # SQLite's own waiting would let everybody else go first
            while True:
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                    return
                except DatabaseError as error:
                    if time.monotonic() > end:
                        raise Busy(f"{self.alias}: {error}") from error
                    time.sleep(0.001)

    def open(self) -> None:
        with self.reader.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT count(*) FROM sqlite_master")

    def resume(self) -> None:
        if self.locker.connection is not None and self.locker.connection.in_transaction:
            self.locker.connection.rollback()

    def save(self) -> None:
        target = sqlite3.connect(self.file)
        try:
            self.reader.connection.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        except sqlite3.Error as error:
            raise Failed(full_or(error, self.file.parent)) from error
        finally:
            target.close()

    @property
    def _place(self) -> Path:
        return Path(self.reader.settings_dict["NAME"])

    @functools.cached_property
    def tables(self) -> list[str]:
        return super().tables if self._place.exists() else []

    def in_use(self) -> bool:
        """Nobody else has the file open if we can have it exclusively."""
        if not self._place.exists():
            return False
        self.reader.close()
        alone = sqlite3.connect(self._place, timeout=0)
        try:
            alone.execute("PRAGMA locking_mode = EXCLUSIVE")
            alone.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        finally:
            alone.close()
        return False

    @property
    def _made(self) -> Path:
        return self._place.with_name(f"{self._place.name}.restored")

    def prepare(self) -> None:
        try:
            if shutil.disk_usage(self._place.parent).free < self.file.stat().st_size:
                raise OSError(errno.ENOSPC, "too small")
            shutil.copyfile(self.file, self._made)
            with self._made.open("rb") as written:
                os.fsync(written.fileno())
        except OSError as error:
            raise Failed(full_or(error, self._place.parent)) from error

    def discard(self) -> None:
        with suppress(OSError):
            self._made.unlink()

    def restore(self) -> None:
        self.reader.close()
        for left in ("-wal", "-shm"):
            Path(f"{self._place}{left}").unlink(missing_ok=True)
        self._made.replace(self._place)


class Postgres(Store):
    suffix = "dump"
    _snapshot = ""

    def pause(self, patience: float) -> None:
        self._lock(
            "BEGIN",
            f"SET LOCAL lock_timeout = {int(patience * 1000)}",
            f"LOCK TABLE {self._quoted()} IN SHARE MODE",
        )

    def _quoted(self) -> str:
        return ", ".join(self.reader.ops.quote_name(name) for name in self.tables)

    def open(self) -> None:
        with self.reader.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # it waits until all is saved
            cursor.execute("SELECT pg_export_snapshot()")
            self._snapshot = cursor.fetchone()[0]

    def resume(self) -> None:
        if self.locker.connection is not None:
            self.locker.connection.rollback()

    def close(self) -> None:
        if self.reader.connection is not None:
            self.reader.connection.rollback()
        super().close()

    def save(self) -> None:
        dump, options, environment = self._client("pg_dump")
        how = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={self._snapshot}"]
        _run([*dump, *how, f"--file={self.file}", *options], environment)

    def in_use(self) -> bool:
        with self.reader.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
            return bool(cursor.fetchone()[0])

    def restore(self) -> None:
        put_back, options, environment = self._client("pg_restore")
        if self.tables:
            with self.reader.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")  # a request's limit is not a restore's
                cursor.execute(f"DROP TABLE {self._quoted()} CASCADE")
                cursor.execute(_FUNCTIONS)
                if functions := [name for (name,) in cursor.fetchall()]:
                    cursor.execute(f"DROP FUNCTION {', '.join(functions)}")
        how = ["--no-owner", "--no-privileges", "--no-comments", "--single-transaction", "--exit-on-error"]
        *options, name = options
        _run([*put_back, *how, *options, f"--dbname={name}", str(self.file)], environment)


# Those of triggers, which would be there already. An extension's stay.
_FUNCTIONS = """
SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND NOT EXISTS
(SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
"""


class Mysql(Store):
    """MySQL and MariaDB. The dump program opens its own snapshot, so it starts while the writers are held."""

    suffix = "sql"
    _dump: subprocess.Popen[str] | None = None

    def pause(self, patience: float) -> None:
        tables = ", ".join(f"{self.reader.ops.quote_name(name)} READ" for name in self.tables)
        self._lock(f"SET SESSION lock_wait_timeout = {max(1, round(patience))}", f"LOCK TABLES {tables}")

    def open(self) -> None:
        programs = ("mariadb-dump", "mysqldump") if self.reader.mysql_is_mariadb else ("mysqldump", "mariadb-dump")
        dump, options, environment = self._client(*programs)
        how = ["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", "--verbose"]
        with self.file.open("wb") as content:
            self._dump = subprocess.Popen(  # noqa: S603
                [*dump, *options[:-1], *how, options[-1]],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=content,
                stderr=subprocess.PIPE,
                text=True,
            )

    def opened(self) -> None:
        assert self._dump is not None and self._dump.stderr is not None
        output = ""
        for line in self._dump.stderr:
            output += line
            if "Retrieving table structure" in line:  # its transaction has begun
                return
        raise Failed(f"{self.alias} could not be dumped: {output.strip()[-300:]}")

    def resume(self) -> None:
        if self.locker.connection is not None:
            with self.locker.cursor() as cursor:
                cursor.execute("UNLOCK TABLES")

    def save(self) -> None:
        assert self._dump is not None
        _, output = self._dump.communicate()
        if self._dump.returncode:
            raise Failed(f"{self.alias} could not be dumped: {output.strip()[-300:]}")

    def in_use(self) -> bool:
        with self.reader.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
            )
            return bool(cursor.fetchone()[0])

    def restore(self) -> None:
        maria = self.reader.mysql_is_mariadb
        client, options, environment = self._client(*(("mariadb", "mysql") if maria else ("mysql", "mariadb")))
        with self.reader.cursor() as cursor:
            cursor.execute("SET SESSION foreign_key_checks = 0")
            for name in self.tables:
                cursor.execute(f"DROP TABLE {self.reader.ops.quote_name(name)}")
        with self.file.open("rb") as content:
            _run([*client, *options], environment, content)

    def close(self) -> None:
        if self._dump is not None and self._dump.poll() is None:
            self._dump.kill()
            self._dump.communicate()
        super().close()


def store(alias: str, folder: Path) -> Store:
    kinds: dict[str, type[Store]] = {"sqlite": Sqlite, "postgresql": Postgres, "mysql": Mysql}
    return kinds[connections[alias].vendor](alias, folder)


def version(connection: BaseDatabaseWrapper) -> str:
    """The server's version, as it reports it."""
    question = "SELECT sqlite_version()" if connection.vendor == "sqlite" else "SELECT version()"
    with connection.cursor() as cursor:
        cursor.execute(question)
        row = cursor.fetchone()
    return str(row[0]) if row else ""


def _run(command: list[str], environment: dict[str, str], content: Any = subprocess.DEVNULL) -> None:
    done = subprocess.run(  # noqa: S603
        command, env=environment, stdin=content, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} failed: {done.stderr.strip()[-300:]}")
