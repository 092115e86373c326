"""Same key, same request: the first answer again. The two shapes a command has, and how each remembers its answer.

``once`` is for a command whose whole effect is one transaction. ``resumable`` is for one that takes several, with calls
to other contexts or providers between them. The contract is docs/api.md's; the records are ``eci.idempotency``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError
from rest_framework.response import Response

from eci import idempotency
from eci.db import run_in_unit_of_work
from eci.errors import EciError, IdempotencyInProgress
from eci.http.envelope import failure
from eci.idempotency import Answer, IdempotencyRecord, Key, refusal_answer
from eci.watch.requests import logger

log = logger(__name__)

B = TypeVar("B")
R = TypeVar("R")

_REMEMBERED_REFUSALS = {402, 404, 409}


# -- one transaction --------------------------------------------------------------------------------------------------


def once(
    context: str,
    key: Key | None,
    execute: Callable[[], tuple[int, Any]],
    *,
    prepare: Callable[[], Any] | None = None,
    about: Callable[[Any], Any] = lambda data: "",
) -> Response:
    """Answer a command whose whole effect is one transaction on ``context``, once per key.

    1. ``prepare`` asks other contexts, before the transaction.
    2. ``execute`` makes the effect and returns status and data; effect and remembered answer commit together.
    3. A refusal is remembered too, and has no effect.

    ``about`` names what the answer is about, so that the answer can be erased together with it.
    """
    if key is None:
        if prepare:
            prepare()
        status, data = execute()
        return Response(data, status=status)
    record = idempotency.find(context, key)
    if record is not None:
        return _again(record)

    def command() -> tuple[int, Any]:
        idempotency.claim(context, key)
        status, data = execute()
        answer = Answer(status=status, body={"data": idempotency.plain(data)})
        idempotency.finish(context, key, answer, resource=str(about(data)))
        return status, data

    try:
        if prepare:
            prepare()
        status, data = run_in_unit_of_work(context, command)
    except IdempotencyInProgress:
        record = idempotency.find(context, key)
        if record is None:
            raise
        return _again(record)
    except EciError as refusal:
        if _is_remembered(refusal):
            idempotency.keep(context, key, refusal_answer(refusal))
        raise
    return Response(data, status=status)


def _again(record: IdempotencyRecord) -> Response:
    answer = idempotency.answer_of(record)
    if answer is None:
        raise IdempotencyInProgress("A request with this idempotency key is still running.")
    return _replayed(answer)


# -- several transactions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Resumable(Generic[B, R]):
    """A command that a crash may cut off between its transactions, and that its key carries on.

    - ``begin`` records what is asked, together with its key, in one transaction. A refusal has no effect.
    - ``carry_out`` goes on from there, as far as it goes now. A refusal it raises, it has remembered itself.
    - ``resume`` returns what a key began, as it is now, carried on where nobody does; None when it began nothing. Its
      second argument is the id that the key's record names, or "" when there is no record (any more).
      IdempotencyInProgress while the first request may still be running.
    - ``find`` returns the key's record, also where only rows of the command's own know the key any more, so that
      ``resume`` always gets an id. Without it, ``resume`` is asked what a key without a record began.
    - ``answer`` returns status and data, or raises the refusal. A 202 is never remembered, so its
      replay has the outcome.
    - ``remembers``: ``carry_out`` remembers the answer in its own last transaction. Otherwise that is done here.
    """

    begin: Callable[[], B]
    carry_out: Callable[[B], R]
    resume: Callable[[Key, str], R | None]
    answer: Callable[[R], tuple[int, Any]]
    find: Callable[[Key], IdempotencyRecord | None] | None = None
    remembers: bool = False


def resumable(context: str, key: Key | None, command: Resumable[B, R]) -> Response:
    """Answer a command of several transactions, once per key."""
    if key is None:
        status, data = command.answer(command.carry_out(command.begin()))
        return Response(data, status=status)
    find = command.find or partial(idempotency.find, context)
    record = find(key)
    if record is not None:
        return _replay(context, key, record, command)
    try:
        begun = command.begin()
    except EciError as refusal:
        return _replay_or_refuse(context, key, refusal, command, find)
    result = command.carry_out(begun)
    if not command.remembers:
        _remember(context, key, remembered(command.answer, result))
    status, data = command.answer(result)
    return Response(data, status=status)


def _replay(context: str, key: Key, record: IdempotencyRecord, command: Resumable[B, R]) -> Response:
    answer = idempotency.answer_of(record) or _outcome(context, key, record.resource, command)
    if answer is None:
        raise IdempotencyInProgress("A request with this idempotency key is still running.")
    return _replayed(answer)


def _replay_or_refuse(
    context: str,
    key: Key,
    refusal: EciError,
    command: Resumable[B, R],
    find: Callable[[Key], IdempotencyRecord | None],
) -> Response:
    """Nothing was begun. The key itself may be why: it has begun something before, or another request has it now."""
    answer = None if command.find else _outcome(context, key, "", command)
    if answer is not None:
        return _replayed(answer)
    try:
        if not _is_remembered(refusal):
            raise refusal
        about = str(refusal.details.get("order_id", ""))  # so that it can be erased with the order
        idempotency.claim(context, key, resource=about, answer=refusal_answer(refusal))
    except IdempotencyInProgress as taken:
        try:
            record = find(key)
        except (OperationalError, InterfaceError):  # it may have begun something: a 503 would deny that
            raise taken from None
        if record is None:
            raise
        return _replay(context, key, record, command)
    raise refusal


def _outcome(context: str, key: Key, resource: str, command: Resumable[B, R]) -> Answer | None:
    """The outcome, as it is now, of what the key began before."""
    try:
        result = command.resume(key, resource)
    except EciError as refusal:
        if not _is_remembered(refusal):
            raise
        answer = refusal_answer(refusal)
    else:
        if result is None:
            return None
        answer = remembered(command.answer, result)
    _remember(context, key, answer)
    try:
        record = idempotency.find(context, key)  # whoever carried it on meanwhile may have remembered the answer first
    except AnyDatabaseError:
        return answer
    return (idempotency.answer_of(record) if record else None) or answer


def remembered(answer: Callable[[R], tuple[int, Any]], result: R) -> Answer:
    """What ``answer`` says of the result, refusals included, as it is remembered."""
    try:
        status, data = answer(result)
    except EciError as refusal:
        return refusal_answer(refusal)
    return Answer(status=status, body={"data": data})


def _remember(context: str, key: Key, answer: Answer) -> None:
    """Where that fails, the command is done all the same, and a replay finds out how it went."""
    if answer.status == 202:
        return
    try:
        idempotency.finish(context, key, answer)
    except AnyDatabaseError:
        log.warning("answer_not_remembered", exc_info=True)


# -- both -------------------------------------------------------------------------------------------------------------


def _is_remembered(refusal: EciError) -> bool:
    return refusal.status in _REMEMBERED_REFUSALS and not isinstance(refusal, IdempotencyInProgress)


def _replayed(answer: Answer) -> Response:
    headers = {"Idempotent-Replayed": "true"}
    if "error" in answer.body:
        error = answer.body["error"]
        body = failure(error["message"], error["code"], error["details"])
        return Response(body, status=answer.status, headers=headers)
    return Response(answer.body["data"], status=answer.status, headers=headers)
