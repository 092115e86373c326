"""How many statements and commits a stretch of code costs, by context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from django.db import connections

from eci import db


class Counted:
    """Statements of a stretch of code, by context; BEGIN, SAVEPOINT and PRAGMA are not counted."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []

    @property
    def total(self) -> int:
        return len(self.log)

    @property
    def commits(self) -> int:
        return sum(sql == "COMMIT" for _, sql in self.log)

    def report(self) -> str:
        by_context = Counter(alias for alias, _ in self.log)
        lines = [f"{self.total} statements, {self.commits} commits: {dict(by_context)}"]
        return "\n".join([*lines, *(f"{alias}: {sql[:100]}" for alias, sql in self.log)])


@contextmanager
def statements() -> Iterator[Counted]:
    """Counts on the seven contexts' databases. A commit inside the test's own transaction is the release of its
    outermost savepoint."""
    counted = Counted()

    def recorder(alias: str) -> Any:
        def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            verb = sql.split(None, 1)[0].upper()
            if verb == "RELEASE" and _outermost(alias):
                counted.log.append((alias, "COMMIT"))
            elif verb not in ("SAVEPOINT", "RELEASE", "BEGIN", "PRAGMA"):
                counted.log.append((alias, sql))
            return execute(sql, params, many, context)

        return record

    with ExitStack() as stack:
        for alias in settings.ECI_CONTEXTS:
            stack.enter_context(connections[alias].execute_wrapper(recorder(alias)))
        yield counted


def _outermost(alias: str) -> bool:
    return db._thread.depths.get(alias) == 1
