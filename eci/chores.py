"""Tasks whose work stands in a database. Who may wake one asks first whether it has any: a wake-up that finds nothing
costs beat and worker twenty times as much as the question."""

from __future__ import annotations

from collections.abc import Callable

_waiting: dict[str, Callable[[], bool]] = {}


def wake(task: str, *, when: Callable[[], bool]) -> None:
    """``when``: whether the task would find something to do. It is asked every few seconds, so it reads an index."""
    _waiting[task] = when


def has_work(task: str) -> bool:
    return _waiting[task]()
