"""Idempotency of a command that calls the provider between its transactions.

Its key is claimed with its row, before the call; its final answer is kept at the end. In between the row tells what the
key began, so a retry after a crash goes on from there, and a 202 is never kept: its replay tells the outcome as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rest_framework.response import Response

from contexts.payments.selectors import Begun
from eci import idempotency
from eci.errors import EciError, IdempotencyInProgress
from eci.http.views import ApiView, replayed
from eci.idempotency import Answer, Key, refusal_answer

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Command(Generic[R]):
    """``begin`` records the intent and gives its row's id, ``execute`` makes the first call, ``begun`` finds what a key
    began, ``resume`` gives it as it is now. ``answer`` tells status and data, or raises the refusal."""

    begin: Callable[[], int]
    execute: Callable[[int], R]
    begun: Callable[[Key], Begun | None]
    resume: Callable[[int], R]
    answer: Callable[[R], tuple[int, dict[str, Any]]]


def run(view: ApiView, key: Key | None, command: Command[R]) -> Response:
    if key is None:
        status, data = command.answer(command.execute(command.begin()))
        return Response(data, status=status)
    replay = _replay(key, command)
    if replay is not None:
        return replay
    try:
        row_id = command.begin()
    except EciError as refusal:
        replay = _replay(key, command)  # the same key may have been taken in this moment, and be why
        if replay is not None:
            return replay
        view.keep_refusal("payments", key, refusal)
        raise
    result = command.execute(row_id)
    _keep(key, _answer_of(result, command))
    status, data = command.answer(result)
    return Response(data, status=status)


def _replay(key: Key, command: Command[R]) -> Response | None:
    """The answer of a key that was used before; None for a new one."""
    record = idempotency.find("payments", key)
    answer = None if record is None else idempotency.answer_of(record)
    if answer is None:
        begun = command.begun(key)
        if begun is None:
            return None
        if begun.under_way:
            raise IdempotencyInProgress("A request with this idempotency key is still running.")
        answer = _answer_of(command.resume(begun.row_id), command)
        _keep(key, answer)
    return replayed(answer)


def _answer_of(result: R, command: Command[R]) -> Answer:
    try:
        status, data = command.answer(result)
    except EciError as refusal:
        return refusal_answer(refusal)
    return Answer(status=status, body={"data": data})


def _keep(key: Key, answer: Answer) -> None:
    if answer.status != 202:
        idempotency.finish("payments", key, answer)
