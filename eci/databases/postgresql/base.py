"""PostgreSQL. libpq has a bound for connecting only, so psycopg's waits get theirs here."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from django.db.utils import Error, InterfaceError, OperationalError
from django.utils.functional import cached_property
from psycopg.adapt import AdaptersMap
from psycopg.types.datetime import TimestamptzLoader

from eci.databases import Bounded, Server, hung, parent, waits
from eci.databases.postgresql.packets import PackingConnection, PackingCursor

_GONE = ("08000", "08003", "08006", "57P01", "57P02")  # no connection, shut down, crashed
_INTERVAL = 0.1  # seconds between two looks for Ctrl-C, as psycopg has it
_CURSORS = 200  # of one connection


@functools.cache
def _connection_to(server: Server) -> type[psycopg.Connection[Any]]:
    class Connection(PackingConnection):
        """psycopg waits nowhere else: not for statements, commits or the pool's check of a connection."""

        answered = 0.0  # when a wait last ended well
        _pool: Any

        @cached_property
        def cursors(self) -> dict[str, psycopg.Cursor[Any]]:
            """One for each text: it knows how the values and rows of its last statement are converted."""
            return {}

        @classmethod
        def connect(cls, *arguments: Any, **options: Any) -> Any:
            try:
                return super().connect(*arguments, **options)
            except psycopg.OperationalError:  # refused, too: the pool would let everybody wait nevertheless
                hung.add(server)
                raise

        def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
            bound = waits.seconds if timeout is None else None
            began = time.monotonic()
            try:
                answer = super().wait(gen, interval, timeout or bound)
                self.answered = time.monotonic()
                return answer
            except psycopg.OperationalError as error:
                if error.sqlstate or not bound or time.monotonic() - began < bound:
                    raise
                self.pgconn.finish()  # whatever comes later is no answer to the next question
                hung.add(server)
                raise psycopg.OperationalError("the server gave no answer in time") from None

        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            """The pool asks with an empty query. A connection that has just answered is not asked."""
            if query:
                return super().execute(query, *arguments, **options)
            if hung.trusts(server, self.answered):
                return None
            try:
                return super().execute(query, *arguments, **options)
            except psycopg.OperationalError:
                hung.lost(server)
                if self._pool is not None:  # its others are lost, too: it would find that out slower each time
                    self._pool.drain()
                raise

    return Connection


@functools.cache
def _adapters(of_django: AdaptersMap) -> AdaptersMap:
    own = AdaptersMap(of_django)
    own.register_loader("timestamptz", _InUtc)
    return own


@functools.cache
def _driver(server: Server) -> SimpleNamespace:
    return SimpleNamespace(**vars(psycopg) | {"connect": _connection_to(server).connect})


class _InUtc(BaseTzLoader):
    """Times, which PostgreSQL sends in the connection's zone, UTC. Django takes three calls and a pattern for each."""

    timezone = UTC

    def load(self, data: Any) -> datetime:
        try:
            found = datetime.fromisoformat(bytes(data).decode())
            if found.tzinfo is UTC:
                return found
        except ValueError:  # infinity, or before Christ
            pass
        of_django: datetime = super().load(data)
        return of_django


class DatabaseWrapper(Bounded, parent("postgresql")):  # type: ignore[misc]
    savepoint_ids: list[str | None]
    atomic_blocks: list[Any]
    run_on_commit: list[Any]
    _has_connected = False

    def __init__(self, settings_dict: dict[str, Any], alias: str) -> None:
        super().__init__(settings_dict, alias)
        if pool := settings_dict["OPTIONS"].get("pool"):
            pool["connection_class"] = _connection_to(self.server)

    @property
    def Database(self) -> SimpleNamespace:  # noqa: N802 - Django's name for the driver, which connects without a pool
        return _driver(self.server)

    def connect(self) -> None:
        """A connection of the pool is ready for use. Django would prepare it anew for each request."""
        pool = self._connection_pools.get(self.alias)
        if pool is None or pool.closed or not self._has_connected:
            super().connect()
            self._has_connected = True
            return
        self.in_atomic_block = self.needs_rollback = self.closed_in_transaction = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        self.close_at, self.health_check_done = 0.0, True
        self.connection = self.admitted(pool.getconn)
        self.autocommit = self.connection.autocommit
        if not self.autocommit:
            self.set_autocommit(True)

    def close_if_unusable_or_obsolete(self) -> None:
        """After each request. What is the pool's goes back to it, where Django would first look for reasons."""
        connection = self.connection
        pool = getattr(connection, "_pool", None)
        if pool is None or self.in_atomic_block or self.errors_occurred:
            super().close_if_unusable_or_obsolete()
            return
        self.connection, self.run_on_commit = None, []
        pool.putconn(connection)

    @cached_property
    def packs(self) -> bool:
        """Whether statements go together: where they may be prepared, so that no pooler is in the way that knows
        neither."""
        return self.settings_dict["OPTIONS"].get("prepare_threshold") is not None

    def cursor_for(self, text: str) -> psycopg.Cursor[Any]:
        kept: dict[str, psycopg.Cursor[Any]] = self.connection.cursors
        if text not in kept:
            if len(kept) == _CURSORS:
                kept.clear()
            kept[text] = PackingCursor(self.connection) if self.packs else self.connection.cursor()
            if self.timezone == UTC:  # psycopg's own loader, in C; Django's cursors want one that is written in Python
                kept[text].adapters.register_loader("timestamptz", TimestamptzLoader)
        return kept[text]

    def _start_transaction_under_autocommit(self) -> None:
        """One statement: the driver would turn autocommit off before, and on after, each transaction."""
        if self.packs:
            self.connection.begin()
            return
        with self.wrap_database_errors:
            self.cursor_for("BEGIN").execute("BEGIN")

    def send_along(self, text: str, params: Sequence[Any]) -> None:
        cursor = self.cursor_for(text)
        (cursor.send_along if isinstance(cursor, PackingCursor) else cursor.execute)(text, params)

    def _savepoint_rollback(self, sid: str) -> None:
        self.connection.take_ahead()
        super()._savepoint_rollback(sid)

    def _close(self) -> None:
        if self.connection is not None:  # the pool's may go to somebody else, in the middle of a transaction
            self.connection.take_ahead()
        super()._close()

    def _set_autocommit(self, autocommit: bool) -> None:
        if self.connection.autocommit != autocommit:
            super()._set_autocommit(autocommit)

    def is_loss(self, error: Error) -> bool:
        state = getattr(error.__cause__, "sqlstate", None)
        return state in _GONE or (state is None and isinstance(error, (OperationalError, InterfaceError)))

    def is_usable(self) -> bool:
        if not hung.admits(self.server):
            return False
        usable: bool = super().is_usable()
        if usable:
            hung.forget(self.server)
        return usable

    def get_connection_params(self) -> dict[str, Any]:
        if self.alias in self._connection_pools:
            return {}  # the pool has them, and Django would put them together again for each request
        parameters: dict[str, Any] = super().get_connection_params()
        if self.timezone == UTC:
            parameters["context"] = _adapters(parameters["context"])
        if seconds := waits.statement_seconds:
            given = parameters.get("options", "")
            # To compile a statement over a large table, or to start others that help, takes longer than to run it.
            quick = "-c jit=off -c max_parallel_workers_per_gather=0"
            parameters["options"] = f"{quick} {given} -c statement_timeout={round(seconds * 1000)}"
        return parameters
