"""Databases: which one a model lives in, and the one way to open a transaction.

A context's name is its app label and its database alias. Nothing else in the project calls ``atomic`` or
``on_commit``: without ``using`` they act on the platform database, which is never the one you want.
"""

from __future__ import annotations

import functools
import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    InterfaceError,
    OperationalError,
    connections,
    models,
    transaction,
)
from django.db.models import QuerySet

from eci.databases import is_gone
from eci.errors import ContextUnavailable
from eci.remembered import Remembered
from eci.watch import tracing

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

_ATTEMPTS = 5

# Django's asks at each look whether an event loop runs. Here none does.
connections._connections = threading.local()  # type: ignore[attr-defined]


class Stale(Exception):
    """A row has changed between its read and its update: run the unit of work again."""


class CommitUnknown(OperationalError):
    """The connection was lost while COMMIT was under way: the unit of work may be done, or may still come to be."""


def replica_of(alias: str) -> str:
    return f"{alias}_replica"


def context_of(alias: str) -> str:
    """The context whose database or replica this is; ``platform`` for what belongs to none."""
    return "platform" if alias == DEFAULT_DB_ALIAS else alias.removesuffix("_replica")


@functools.cache
def alias_of(app_label: str) -> str:
    """A context's tables live on the alias of its name, all others on the platform database."""
    return app_label if app_label in settings.ECI_CONTEXTS else DEFAULT_DB_ALIAS


class ContextRouter:
    """Sends every model to the database of its app."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        alias = alias_of(model._meta.app_label)
        return replica_of(alias) if _thread.reading_replica == alias else alias

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return alias_of(model._meta.app_label)

    def allow_relation(self, obj1: models.Model, obj2: models.Model, **hints: Any) -> bool:
        return alias_of(obj1._meta.app_label) == alias_of(obj2._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """True on the app's own alias, and on every alias of the same physical database.

        Django records migrations by database. Where two aliases share one, the first run must create the tables of
        both: the second finds its migrations recorded, and creates nothing.
        """
        alias = alias_of(app_label)
        return alias == db or (alias in connections.settings and _same_database(alias, db))


def _same_database(one: str, other: str) -> bool:
    def identity(alias: str) -> tuple[str, ...]:
        config = connections.settings[alias]
        return tuple(str(config.get(name) or "") for name in ("ENGINE", "HOST", "PORT", "NAME"))

    return identity(one) == identity(other) and identity(one)[-1] not in ("", ":memory:")


class _Thread(threading.local):
    """Of this thread, by context: how deep its units of work are nested, and what is called after their commit."""

    def __init__(self) -> None:
        self.depths: dict[str, int] = {}
        self.hooks: dict[str, list[Callable[[], Any]]] = {}
        self.reading_replica: str | None = None  # the context whose replica this thread is reading


_thread = _Thread()


def in_unit_of_work(context: str | None = None) -> bool:
    """Whether this thread has a transaction open, on ``context`` or on any."""
    return bool(_thread.depths.get(context)) if context else any(_thread.depths.values())


def require_no_unit_of_work(what: str) -> None:
    """Network calls are forbidden inside a transaction: it would hold its locks until the other side answers."""
    if in_unit_of_work():
        raise RuntimeError(f"{what} inside a transaction")


@contextmanager
def unit_of_work(context: str) -> Iterator[None]:
    """One transaction on the context's database. After its commit, what ``after_commit`` was given is called.

    Inside another one it is a savepoint.
    """
    outer = _thread.depths.get(context, 0)
    hooks = _thread.hooks.setdefault(context, [])
    begun_with = len(hooks)
    _thread.depths[context] = outer + 1
    _thread.reading_replica = None
    try:
        with (
            tracing.transaction(context) if outer == 0 else nullcontext(),
            _turn(context) if outer == 0 else nullcontext(),
            transaction.atomic(using=context),  # noqa: TID251
        ):
            yield
            if transaction.get_rollback(using=context):  # else Django would roll back silently, and the hooks would run
                raise transaction.TransactionManagementError("A write inside failed, and its failure was swallowed.")
    except BaseException:
        del hooks[begun_with:]
        raise
    finally:
        _thread.depths[context] = outer
    if outer == 0:
        _thread.hooks[context] = []
        for hook in hooks:
            _run(hook)


def statement_by_itself(context: str) -> AbstractContextManager[Any]:
    """For a single write, which needs no BEGIN and COMMIT. Inside a unit of work it is a part of that."""
    return nullcontext() if in_unit_of_work(context) else _turn(context)


_turns: dict[str, threading.Lock] = defaultdict(threading.Lock)


def _turn(context: str) -> AbstractContextManager[Any]:
    """On SQLite, the turn to write. It has one writer at a time, and the others poll: a queue is better."""
    connection = connections[context]
    return _turns[str(connection.settings_dict["NAME"])] if connection.vendor == "sqlite" else nullcontext()


_GAP = 0.025  # seconds; who waits for the lock of SQLite looks again every 25 ms, later every 100 ms


def give_way(alias: str) -> None:
    """Between two units of long work. SQLite's lock has no queue for other processes: who takes it anew at once has it
    again, and the others wait for as long as the work takes."""
    if connections[alias].vendor == "sqlite":
        time.sleep(_GAP)


def _run(hook: Callable[[], Any]) -> None:
    """The commit stands, even if this fails."""
    try:
        hook()
    except Exception:
        log.exception("after_commit_failed")


def after_commit(context: str, function: Callable[[], Any]) -> None:
    """Call ``function`` after the commit of the context's open unit of work; at once where none is open."""
    if in_unit_of_work(context):
        _thread.hooks[context].append(function)
    else:
        _run(function)


def writes(context: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run the function as one unit of work, and repeat it after a deadlock or a serialization failure.

    Inside another unit of work it is a part of that one, and only the outermost is repeated.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return run_in_unit_of_work(context, lambda: function(*args, **kwargs))

        return wrapper

    return decorate


def run_in_unit_of_work(context: str, function: Callable[[], R]) -> R:
    """As ``writes``. If the connection turns out to be lost before COMMIT, it begins anew, once. CommitUnknown."""
    if in_unit_of_work(context):
        with transaction.mark_for_rollback_on_error(using=context):
            return function()
    anew = True
    for attempt in range(1, _ATTEMPTS + 1):
        returned = False
        try:
            with unit_of_work(context):
                answer = function()
                returned = True
            return answer
        except Stale:
            pass
        except (OperationalError, InterfaceError) as error:
            if anew and is_gone(error) and not returned:  # nothing is committed; at COMMIT nobody would know
                anew = False
                connections[context].close()
            elif returned and is_gone(error):
                raise _unknown(error) from error.__cause__
            elif attempt == _ATTEMPTS or not _is_serialization_failure(error):
                raise
        time.sleep(random.uniform(0, 0.01 * 2**attempt))
    raise ContextUnavailable("Too many others are changing the same data at the moment. Please try again.")


def _unknown(error: OperationalError | InterfaceError) -> CommitUnknown:
    unknown = CommitUnknown(*error.args)
    vars(unknown).update(vars(error))  # which database it was
    return unknown


def _is_serialization_failure(error: OperationalError | InterfaceError) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in ("40001", "40P01"):  # PostgreSQL: serialization failure, deadlock
        return True
    return bool(error.args) and error.args[0] in (1213, 1205)  # MySQL: deadlock, lock wait timeout


def primaries() -> list[str]:
    """Every alias except the replicas: these are migrated, checked and backed up."""
    replicas = {replica_of(alias) for alias in connections}
    return [alias for alias in connections if alias not in replicas]


_failed_replicas: Remembered[str, bool] = Remembered(5)  # by context: the primary is read meanwhile


def read_replica(context: str, read: Callable[[], R]) -> R:
    """Call ``read`` on the context's replica, or on the primary where there is no replica or it does not answer.

    ``read`` must tolerate rows that are some moments old. From its first unit of work on, it reads the primary.
    """
    replica = replica_of(context)
    if replica not in connections.settings or in_unit_of_work() or context in _failed_replicas:
        return read()
    _thread.reading_replica = context
    try:
        return read()
    except Error as error:
        log.warning("replica_failed", extra={"context": context, "error": type(error).__name__})
        _failed_replicas.put(context, True)
    finally:
        _thread.reading_replica = None
    return read()


def locked(queryset: QuerySet[Any], *, of: tuple[str, ...] = ("self",), skip_locked: bool = False) -> QuerySet[Any]:
    """Lock the queryset's rows, in its order, in the tables that ``of`` names.

    SQLite has no row locks and needs none, because its writers take turns.
    """
    features = connections[queryset.db].features
    if not features.has_select_for_update:
        return queryset
    return queryset.select_for_update(
        of=of if features.has_select_for_update_of else (),
        skip_locked=skip_locked and features.has_select_for_update_skip_locked,
    )
