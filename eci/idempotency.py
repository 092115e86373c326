"""Idempotency keys: each answer is kept in the database of the context that gave it.

The contract is docs/api.md's: the same key with the same request gets the first answer again, with another request a
422, and while the first is running a 409. A key is claimed in the transaction that has the effect, so a crash leaves
both or neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder as JSONEncoder
from django.db import IntegrityError, models
from django.db.models import QuerySet
from django.db.models.functions import Now

from eci import pruning
from eci.db import statement_by_itself, unit_of_work
from eci.erasure import blank
from eci.errors import EciError, IdempotencyInProgress, IdempotencyKeyReused, NotFound
from eci.statements import Change, Changes, Columns, Inserts, Reads, change, changes, reads
from eci.statements.rows import QuickModel

KEPT = timedelta(hours=48)  # clients are promised 24


class IdempotencyRecord(QuickModel):
    """One key of one caller at one endpoint. ``status`` is null while its request is running.

    ``resource`` is the id of what the request created.
    """

    scope = models.CharField(max_length=250)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    resource = models.CharField(max_length=64, default="", blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="%(app_label)s_idempotency_key")]
        indexes = [models.Index(fields=["created_at"], name="%(app_label)s_idempotency_age")]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A caller's key for one request. ``scope``: caller and endpoint. ``fingerprint``: a digest of the request."""

    scope: str
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A final answer: its HTTP status, and its body without the timestamp."""

    status: int
    body: dict[str, Any]


def fingerprint(request: Any) -> str:
    """The digest of a validated request, in which equal numbers (``1.50`` and ``"1.5"``) have become the same."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, cls=JSONEncoder).encode()).hexdigest()


def _records(context: str) -> type[IdempotencyRecord]:
    return apps.get_model(context, "Idempotency")


@cache
def _record_in(context: str) -> Reads[..., IdempotencyRecord]:
    @reads
    def record(*, scope: str, key: str) -> QuerySet[IdempotencyRecord]:
        return _records(context)._default_manager.filter(scope=scope, key=key)

    return record


@cache
def _answering_in(context: str) -> Changes[...]:
    @changes
    def answering(*, scope: str, key: str, columns: Columns) -> Change:
        running = _records(context)._default_manager.filter(scope=scope, key=key, status=None)
        return change(running, **columns)

    return answering


@cache
def _inserts_in(context: str) -> Inserts[IdempotencyRecord]:
    return Inserts(_records(context))


def find(context: str, key: Key) -> IdempotencyRecord | None:
    """The key's record, or None. IdempotencyKeyReused if the key was used for another request."""
    record = _record_in(context).first(scope=key.scope, key=key.key)
    if record is not None:
        require_same_request(key, record.fingerprint)
    return record


def require_same_request(key: Key, fingerprint: str) -> None:
    """IdempotencyKeyReused if the key was used for the request of this fingerprint, and this is another."""
    if fingerprint != key.fingerprint:
        raise IdempotencyKeyReused("This idempotency key was used for a different request.")


def answer_of(record: IdempotencyRecord) -> Answer | None:
    return None if record.status is None else Answer(status=record.status, body=json.loads(record.answer))


def claim(context: str, key: Key, *, resource: str = "", answer: Answer | None = None) -> None:
    """Take the key, in the unit of work that has the effect. IdempotencyInProgress, with which that unit ends, if
    another request has it.

    With ``answer`` the key is finished at once: for a refusal, which has no effect.
    """
    record = _records(context)(**vars(key), resource=resource)
    if answer is not None:
        record.status, record.answer = answer.status, json.dumps(answer.body, cls=JSONEncoder)
    try:
        with statement_by_itself(context):
            _inserts_in(context)([record])
    except IntegrityError:
        raise IdempotencyInProgress("A request with this idempotency key is still running.") from None


def begin(context: str, key: Key, *, resource: str) -> None:
    """Bind the key to its request, outside any unit of work, unless another request has done so."""
    with contextlib.suppress(IdempotencyInProgress), unit_of_work(context):
        claim(context, key, resource=resource)


def finish(context: str, key: Key, answer: Answer, *, resource: str = "") -> None:
    """Store the answer of a claimed key."""
    columns: dict[str, Any] = {"status": answer.status, "answer": json.dumps(answer.body, cls=JSONEncoder)}
    if resource:
        columns["resource"] = resource
    _answering_in(context).along(scope=key.scope, key=key.key, columns=Columns(columns))


def keep(context: str, key: Key, answer: Answer) -> None:
    """Store the answer of a command without effect, which is a refusal. A key that is taken already stays as it is."""
    _records(context)._default_manager.bulk_create(
        [
            _records(context)(
                **vars(key),
                status=answer.status,
                answer=json.dumps(answer.body, cls=JSONEncoder),
            )
        ],
        ignore_conflicts=True,
    )


def erase(context: str, *, endpoint: str, resources: Any) -> None:
    """Erase the endpoint's answers about these resources. Their keys stay used, and get a 404 from now on."""
    gone = refusal_answer(NotFound("The answer to this request has been erased."))
    kept = _records(context)._default_manager.filter(scope__endswith=f":{endpoint}", resource__in=resources)
    body = json.dumps(gone.body)
    blank(kept.exclude(status=None).exclude(answer=body), status=gone.status, answer=body)


def prune(context: str, *, keep_for: timedelta = KEPT) -> int:
    return pruning.delete(_records(context)._default_manager.filter(created_at__lt=Now() - keep_for), by="created_at")


def plain(data: Any) -> Any:
    """``data`` as a reader of its JSON gets it."""
    return json.loads(json.dumps(data, cls=JSONEncoder))


def refusal_answer(refusal: EciError) -> Answer:
    """The answer that is stored for a refusal."""
    error = {"message": refusal.message, "code": refusal.code, "details": plain(refusal.details)}
    return Answer(status=refusal.status, body={"error": error})
