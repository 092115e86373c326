"""MySQL and MariaDB. The driver has time-outs; which of its errors mean that one was reached, it does not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db.utils import Error
from django.utils.functional import cached_property
from MySQLdb import MySQLError
from MySQLdb.constants import FIELD_TYPE
from MySQLdb.cursors import Cursor

from eci.clock import in_utc
from eci.databases import Bounded, NamedErrors, hung, parent, waits

_LOST = (2002, 2003, 2006, 2013)
_WAITED_FOR_LOCK, _TOOK_TOO_LONG = 1205, 3024
_GONE = (1053, 1927, 2006, 2013, 2055, 4031)  # shut down, killed, gone, lost, idle for too long
_TIMES = dict.fromkeys((FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP), datetime.fromisoformat)  # not the driver's Python
_LONG = 0.5  # part of the bound: a server that was killed ends its connections sooner


def _was_long(began: float) -> bool:
    return waits.seconds is not None and time.monotonic() - began >= waits.seconds * _LONG


class _Errors(NamedErrors):
    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        lost = error is not None and error.args[:1] and error.args[0] in _LOST
        if lost and _was_long(self.began):
            hung.add(self.wrapper.server)
        if waits.statement_seconds and error is not None and error.args[:1] == (_WAITED_FOR_LOCK,):
            error.args = (_TOOK_TOO_LONG, *error.args[1:])  # as MariaDB says it: it is not tried again
        super().__exit__(kind, error, traceback)


class _Cursor(Cursor):  # type: ignore[misc]
    """The driver's. What is ahead of a statement goes with it, in one packet. The server stops at the first error."""

    connection: Any

    def _mogrify(self, query: Any, args: Any = None) -> Any:
        """Texts and whole numbers, which most values are, are written without asking for each how."""
        if args is None or isinstance(args, Mapping):
            return super()._mogrify(query, args)
        db = self.connection
        text, literal, encoding = db.string_literal, db.literal, db.encoding
        written = tuple(
            [
                text(one.encode(encoding)) if type(one) is str else b"%d" % one if type(one) is int else literal(one)
                for one in args
            ]
        )
        return (query.encode(encoding) if isinstance(query, str) else query) % written

    def _query(self, query: bytes) -> int | None:
        ahead, self.connection.ahead = self.connection.ahead, []
        super()._query(b";".join([*ahead, query]))
        try:
            for _ in ahead:
                self.nextset()
        except MySQLError as error:
            if error.args[:1] and error.args[0] in _LOST:
                self.connection = None  # or to close this cursor would ask for the rest, and fail in the driver's words
            raise
        count: int | None = self.rowcount
        return count


_BEGIN = b"BEGIN"
_Parent = parent("mysql")


class _Operations(_Parent.ops_class):  # type: ignore[misc, name-defined]
    def adapt_datetimefield_value(self, value: Any) -> Any:
        """As Django's, of a time in UTC for a server that keeps UTC."""
        if type(value) is datetime and value.tzinfo is UTC and self.connection.timezone is UTC:
            return str(value.replace(tzinfo=None))
        return super().adapt_datetimefield_value(value)

    def convert_datetimefield_value(self, value: datetime | None, expression: Any, connection: Any) -> datetime | None:
        """As Django's, without asking whether it has a zone: the server's times have none."""
        return None if value is None else value.replace(tzinfo=connection.timezone)


class DatabaseWrapper(Bounded, _Parent):  # type: ignore[misc, valid-type]
    ops_class = _Operations
    quick_converters: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "convert_booleanfield_value": bool,
        "convert_datetimefield_value": in_utc,
    }
    # Django leaves case to the collation, by which keys that differ in case are two (eci/checks.py).
    operators = _Parent.operators | dict.fromkeys(
        ("icontains", "istartswith", "iendswith"), "COLLATE utf8mb4_unicode_ci LIKE %s"
    )

    @cached_property
    def wrap_database_errors(self) -> NamedErrors:
        return _Errors(self)

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        parameters["conv"] = parameters["conv"] | _TIMES
        parameters["cursorclass"] = _Cursor
        if waits.seconds:
            bound = max(1, int(waits.seconds))
            parameters |= {"read_timeout": bound, "write_timeout": bound, "connect_timeout": bound}
        if seconds := waits.statement_seconds:
            # Each comment is for one of the two servers, whose words differ. MySQL's bound is for reads: of what writes
            # take long, it can end waiting for locks.
            parameters["init_command"] += (
                f" /*M!100101 , max_statement_time = {seconds} */"
                f" /*!50708 , max_execution_time = {round(seconds * 1000)}"
                f" , innodb_lock_wait_timeout = {max(1, int(seconds))} */"
            )
        return parameters

    def get_new_connection(self, parameters: dict[str, Any]) -> Any:
        connection = super().get_new_connection(parameters)
        connection.ahead = []
        return connection

    def _start_transaction_under_autocommit(self) -> None:
        """One statement, where Django turns autocommit off before, and on after, each transaction."""
        self.connection.ahead.append(_BEGIN)

    def send_along(self, text: str, params: Sequence[Any]) -> None:
        self.connection.ahead.append(self.connection.cursor().mogrify(text, params).encode())

    def _commit(self) -> None:
        ahead = self.connection.ahead if self.connection is not None else []
        if ahead == [_BEGIN]:
            ahead.clear()  # nothing was done
        elif ahead:
            with self.wrap_database_errors:
                self.connection.cursor().execute("COMMIT")
        else:
            super()._commit()

    def _savepoint_rollback(self, sid: str) -> None:
        self.connection.ahead.clear()
        super()._savepoint_rollback(sid)

    def _rollback(self) -> None:
        if self.connection is not None:
            self.connection.ahead.clear()
        super()._rollback()

    def is_loss(self, error: Error) -> bool:
        return error.args[:1] != () and error.args[0] in _GONE

    def is_usable(self) -> bool:
        if not hung.admits(self.server):
            return False
        began = time.monotonic()
        usable: bool = super().is_usable()
        if usable:
            hung.forget(self.server)
        elif _was_long(began):
            hung.add(self.server)
        return usable
