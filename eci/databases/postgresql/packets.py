"""Statements that go to PostgreSQL together: what nobody waits for is kept ahead of the next statement or COMMIT.

It is libpq's pipeline mode, entered for one packet. psycopg's ``pipeline()`` does the same for anything, in Python that
takes longer than the ways to the server that it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg import generators, pq
from psycopg._preparing import Prepare
from psycopg.abc import PQGen

Send = Callable[[], None]


def _together(connection: pq.abc.PGconn, sends: Sequence[Send]) -> PQGen[list[pq.abc.PGresult]]:
    """An answer for each. The server stops at the first error, which this raises."""
    connection.enter_pipeline_mode()
    for send in sends:
        send()
    connection.pipeline_sync()
    yield from generators.send(connection)
    answers = []
    for _ in sends:
        answers += yield from generators.fetch_many(connection)
    yield from generators.fetch_many(connection)  # of the sync
    connection.exit_pipeline_mode()
    for answer in answers:
        if answer.status == pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(answer)
    return answers


class PackingConnection(psycopg.Connection[Any]):
    """Whatever it is asked for, what is ``ahead`` is sent before. A transaction begins with its first statement."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ahead: list[Send] = []
        self._begin: Send = partial(self.pgconn.send_query_params, b"BEGIN", None)
        self._commit: Send = partial(self.pgconn.send_query_params, b"COMMIT", None)

    def begin(self) -> None:
        self.ahead.append(self._begin)

    def take_ahead(self) -> list[Send]:
        taken, self.ahead = self.ahead, []
        return taken

    def commit(self) -> None:
        ahead = self.take_ahead()
        if not ahead:
            super().commit()
        elif ahead != [self._begin]:  # else nothing was done
            with self.lock:
                self.wait(_together(self.pgconn, [*ahead, self._commit]))

    def rollback(self) -> None:
        self.take_ahead()
        super().rollback()

    def wait(self, gen: Any, *arguments: Any) -> Any:
        if self.ahead:
            super().wait(_together(self.pgconn, self.take_ahead()), *arguments)
        return super().wait(gen, *arguments)


class PackingCursor(psycopg.Cursor[Any]):
    """Its statement takes along what is ahead of it, once it is prepared."""

    _conn: PackingConnection
    _last_query: Any
    _ahead: Sequence[Send] = ()

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        self._ahead = self._conn.take_ahead()
        return super().execute(query, params, **options)

    def _maybe_prepare_gen(self, query: Any, *, prepare: bool | None = None, binary: bool | None = None) -> PQGen[None]:
        ahead, self._ahead = self._ahead, ()
        state, name = self._get_prepared(query, prepare) if ahead else (None, b"")
        if state is Prepare.YES:
            answers = yield from _together(self._pgconn, [*ahead, partial(self._send_query_prepared, name, query)])
            self._conn._prepared.maybe_add_to_cache(query, state, name)
            self._set_results(answers[-1:])
            return
        if ahead:
            yield from _together(self._pgconn, ahead)
        yield from super()._maybe_prepare_gen(query, prepare=prepare, binary=binary)

    def send_along(self, query: str, params: Sequence[Any]) -> None:
        """With what comes next; at once, until it is prepared."""
        if self._last_query is not query:
            self._tx = psycopg.adapt.Transformer(self)
        converted = self._convert_query(query, params)
        state, name = self._get_prepared(converted)
        if state is not Prepare.YES:
            self.execute(query, params)
            return
        self._last_query = query
        self._conn._prepared.maybe_add_to_cache(converted, state, name)
        self._conn.ahead.append(partial(self._send_query_prepared, name, converted))
