"""Django's database backends, with a bound on every wait: a database that hangs is as bad as one that is away.

``bound_waits`` sets the bound for this process. Without it (commands, tests) a statement may take as long as it likes.

1. A server that gives no answer in time loses the connection, and the statement is an ``OperationalError``.
2. For a second after that nobody asks this server: ``connect`` fails at once, and no thread waits.
3. Then one thread that has not just waited in vain tries one connection. If it comes about, everybody asks again.

Errors carry the alias of their database (``database_of``), so that an answer can name the context.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

from django.conf import settings
from django.db import connections
from django.db.utils import DatabaseErrorWrapper, Error, load_backend
from django.utils.functional import cached_property

from eci.remembered import Remembered

RESTED = 1.0  # seconds; a connection that has answered since is used without asking whether it still is one
PAUSE = 1.0  # seconds that a server which hangs is left alone
TIRED = 3.0  # seconds in which a thread that has waited in vain does so for nobody: a request waits once
_TRIAL = 5.0  # seconds after which a trial that nobody has reported on may be repeated
_SLACK = 0.1  # seconds by which the server gives up a statement before we give up the server

Server = tuple[str, str]


class Waits(threading.local):
    """How many seconds this process, or this thread, waits for a database; None: for ever.

    ``statements``: servers, too, end statements that take so long. A worker's may take longer.
    """

    seconds: float | None = None
    statements = False

    @property
    def statement_seconds(self) -> float | None:
        return self.seconds - _SLACK if self.seconds and self.statements else None


waits = Waits()


def bound_waits(seconds: float, *, statements: bool) -> None:
    """From now on, new connections of this process wait so long for an answer. 0: for ever."""
    Waits.seconds, Waits.statements = seconds or None, statements


def bound_waits_of_this_thread(seconds: float) -> None:
    waits.seconds = seconds or None


class Hung:
    """The servers that gave no answer in time or take no connection, until one comes about again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_try: dict[Server, float] = {}
        self._lost: dict[Server, float] = {}
        self._of_thread = threading.local()

    def add(self, server: Server) -> None:
        self.waited_in_vain()
        with self._lock:
            self._next_try[server] = time.monotonic() + PAUSE

    def waited_in_vain(self) -> None:
        self._of_thread.tired_until = time.monotonic() + TIRED

    def suspects(self, server: Server) -> bool:
        with self._lock:
            return server in self._next_try

    def lost(self, server: Server) -> None:
        """A connection to it is gone, so the others may be."""
        self._lost[server] = time.monotonic()

    def trusts(self, server: Server, answered: float) -> bool:
        """Whether a connection that answered then may be used unasked."""
        return time.monotonic() - RESTED < answered > self._lost.get(server, 0) and not self.suspects(server)

    def forget(self, server: Server) -> None:
        with self._lock:
            self._next_try.pop(server, None)

    def admits(self, server: Server) -> bool:
        """Whether it may be asked. Of several who ask a server that hangs, one is let through after each pause."""
        with self._lock:
            if server not in self._next_try:
                return True
            now = time.monotonic()
            if now < self._next_try[server] or now < getattr(self._of_thread, "tired_until", 0):
                return False
            self._next_try[server] = now + _TRIAL
            return True


hung = Hung()


def parent(engine: str) -> Any:
    """Django's backend, or the one that counts where ECI_DB_METRICS asks for it."""
    package = "django_prometheus.db.backends" if settings.ECI_DB_METRICS else "django.db.backends"
    return load_backend(f"{package}.{engine}").DatabaseWrapper


def database_of(error: Error) -> str | None:
    """The alias of the database that raised this."""
    return getattr(error, "database", None)


def is_gone(error: Error) -> bool:
    """Whether the connection was lost at this, before anybody waited: its server may have ended it long ago."""
    return getattr(error, "gone", False)


def was_too_slow(error: Error) -> bool:
    """Whether the statement was ended for taking too long, while its server is well."""
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) == "57014":  # PostgreSQL
        return True
    return error.args[:1] in ((1969,), (3024,), ("interrupted",))  # MariaDB, MySQL, SQLite


FULL, READ_ONLY, LOCKED, UNREACHABLE, TIMED_OUT = "disk full", "read-only", "locked", "unreachable", "timed out"
_SQLSTATES = {"53100": FULL, "25006": READ_ONLY, "55P03": LOCKED, "40P01": LOCKED, "40001": LOCKED}
_MYSQL = {
    **dict.fromkeys((1021, 1114), FULL),
    **dict.fromkeys((1290, 1792, 1836), READ_ONLY),
    **dict.fromkeys((1205, 1213), LOCKED),
}
_SQLITE = {5: LOCKED, 6: LOCKED, 8: READ_ONLY, 13: FULL}  # the primary codes, the lowest byte
_SQLITE_IO_ERROR = 10
_NO_ROOM = 256 * 1024  # bytes: SQLite reports an I/O error where so little is left that a file cannot grow


def kind_of(error: Error) -> str:
    """What keeps the database from doing what was asked, in one of five kinds, for logs. It has no data."""
    cause = error.__cause__
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    sqlite = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    kind = (
        _SQLSTATES.get(getattr(cause, "sqlstate", None) or "")
        or (_MYSQL.get(number))
        or _SQLITE.get(sqlite)
        or (FULL if number and re.search(r"(?i)errcode: 28\b", str(error)) else None)
    )
    if kind:
        return kind
    if sqlite == _SQLITE_IO_ERROR and (alias := database_of(error)) and _has_no_room(alias):
        return FULL
    return TIMED_OUT if was_too_slow(error) or "gave no answer" in str(error) else UNREACHABLE


def _has_no_room(alias: str) -> bool:
    try:
        return shutil.disk_usage(Path(connections[alias].settings_dict["NAME"]).parent).free < _NO_ROOM
    except OSError:
        return False


_full: Remembered[Server, bool] = Remembered(30)  # disks on which a write has just failed because they are full


def has_full_disk(alias: str) -> bool:
    """Whether there is no room for SQLite's files, or this process has just failed to write for lack of it: to this
    database or to another on its server."""
    return _disk(alias) in _full or (connections[alias].vendor == "sqlite" and _has_no_room(alias))


def _disk(alias: str) -> Server:
    """A server's databases share its disk, as far as we know; SQLite's files share that of their folder."""
    told = connections[alias].settings_dict
    if told["HOST"]:
        return str(told["HOST"]), str(told["PORT"])
    try:
        return "", str(Path(told["NAME"]).parent.stat().st_dev)
    except OSError:
        return "", str(told["NAME"])


class NamedErrors(DatabaseErrorWrapper):
    """Django's translation of a driver's errors. It knows whose they are, and since when the call has been running."""

    began = 0.0  # 0: no call is running
    answered = 0.0  # when the last call ended without an error
    wrapper: Any

    def __init__(self, wrapper: Any) -> None:
        super().__init__(wrapper)
        with _calls_lock:
            _calls.add(self)

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.began = 0.0
        if error is None:
            self.answered = time.monotonic()
            return
        try:
            super().__exit__(kind, error, traceback)
        except Error as translated:
            translated.database = self.wrapper.alias  # type: ignore[attr-defined]
            translated.gone = self.wrapper.lost_connection(translated)  # type: ignore[attr-defined]
            if kind_of(translated) == FULL:
                _full.put(_disk(self.wrapper.alias), True)
            raise


_calls: WeakSet[NamedErrors] = WeakSet()
_calls_lock = threading.Lock()


def stuck(seconds: float) -> int:
    """How many threads of this process have waited longer than that for an answer of a database."""
    long_ago = time.monotonic() - seconds
    with _calls_lock:
        return sum(1 for call in _calls if 0 < call.began < long_ago)


class Named:
    """For all backends.

    ``quick_converters``: what does the same as a converter of Django's, by its name, and needs nothing but the value.
    """

    quick_converters: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    @cached_property
    def counts(self) -> bool:
        """Whether it counts what it is asked; see ``parent``."""
        return bool(settings.ECI_DB_METRICS)

    @cached_property
    def wrap_database_errors(self) -> NamedErrors:
        return NamedErrors(self)

    def cursor_for(self, text: str) -> Any:
        """The driver's cursor, for a statement whose rows are all taken before the next one."""
        return self.create_cursor()  # type: ignore[attr-defined]

    def send_along(self, text: str, params: Sequence[Any]) -> None:
        """A write within a transaction, of whose answer nobody needs anything.

        A server gets it together with the next statement or COMMIT, which then also raises its errors.
        """
        self.cursor_for(text).execute(text, params)

    def lost_connection(self, error: Error) -> bool:
        return False


class Bounded(Named):
    """For those that ask a server."""

    Database: Any
    settings_dict: dict[str, Any]
    connection: Any
    health_check_done: bool

    @property
    def server(self) -> Server:
        return str(self.settings_dict["HOST"]), str(self.settings_dict["PORT"])

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        return self.admitted(partial(super().get_new_connection, parameters))  # type: ignore[misc]

    def admitted(self, connect: Callable[[], Any]) -> Any:
        """The connection that ``connect`` makes, unless the server hangs."""
        if not hung.admits(self.server):
            raise self.Database.OperationalError("the server gave no answer a moment ago")
        try:
            connection = connect()
        except self.Database.OperationalError:
            hung.waited_in_vain()
            raise
        hung.forget(self.server)
        return connection

    def close_if_health_check_failed(self) -> None:
        """Under load no connection is asked before each use. One that was lost in this moment costs a retry
        (``eci.db.run_in_unit_of_work``) or, in a read, a 503."""
        if self.connection is None or self.health_check_done:
            return
        if hung.trusts(self.server, self.wrap_database_errors.answered):
            self.health_check_done = True
        super().close_if_health_check_failed()  # type: ignore[misc]

    def lost_connection(self, error: Error) -> bool:
        """Not where none could be had, nor where an answer was waited for in vain."""
        lost = self.connection is not None and self.is_loss(error) and not hung.suspects(self.server)
        if lost:
            hung.lost(self.server)
        return lost

    def is_loss(self, error: Error) -> bool:
        """Whether the driver says so."""
        raise NotImplementedError
