"""Idempotency keys: what a caller was answered, kept in the database of the context that answered.

The contract is API.md's: same key and same request, the first answer again; same key and another request, 422;
still running, 409. A record is claimed in the transaction that makes the effect, so a crash leaves both or neither.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder as JSONEncoder
from django.db import IntegrityError, models
from django.db.models.functions import Now

from eci.db import unit_of_work
from eci.erasure import blank
from eci.errors import EciError, IdempotencyInProgress, IdempotencyKeyReused, NotFound

KEPT = timedelta(hours=48)  # API.md promises 24


class IdempotencyRecord(models.Model):
    """One key of one caller at one endpoint. ``status`` is null while it runs; ``resource`` names what it made."""

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
    """A caller's key for one request: ``scope`` is caller and endpoint, ``fingerprint`` a digest of what was asked."""

    scope: str
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A finished answer: HTTP status and the body without its timestamp."""

    status: int
    body: dict[str, Any]


def fingerprint(request: Any) -> str:
    """Digest of a parsed request; numbers that are equal (``1.50``, ``"1.5"`` once validated) digest alike."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, cls=JSONEncoder).encode()).hexdigest()


def _records(context: str) -> type[IdempotencyRecord]:
    return apps.get_model(context, "Idempotency")


def find(context: str, key: Key) -> IdempotencyRecord | None:
    """The key's record, or None. 422 when the key was used for another request."""
    record = _records(context)._default_manager.filter(scope=key.scope, key=key.key).first()
    if record is not None and record.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused("This idempotency key was used for a different request.")
    return record


def answer_of(record: IdempotencyRecord) -> Answer | None:
    return None if record.status is None else Answer(status=record.status, body=json.loads(record.answer))


def claim(context: str, key: Key, *, resource: str = "", answer: Answer | None = None) -> None:
    """Take the key, inside the unit of work that makes the effect; with its answer when that is known, and there is
    none. 409 when another request has it already."""
    record = _records(context)(**vars(key), resource=resource)
    if answer is not None:
        record.status, record.answer = answer.status, json.dumps(answer.body, cls=JSONEncoder)
    try:
        with unit_of_work(context):
            _records(context)._default_manager.bulk_create([record])
    except IntegrityError:
        raise IdempotencyInProgress("A request with this idempotency key is still running.") from None


def begin(context: str, key: Key, *, resource: str) -> None:
    """Bind the key to its request, outside any unit of work; another request may have done so in this moment."""
    with contextlib.suppress(IdempotencyInProgress), unit_of_work(context):
        claim(context, key, resource=resource)


def finish(context: str, key: Key, answer: Answer, *, resource: str = "") -> None:
    """Keep the answer of a claimed key."""
    changes: dict[str, Any] = {"status": answer.status, "answer": json.dumps(answer.body, cls=JSONEncoder)}
    if resource:
        changes["resource"] = resource
    _records(context)._default_manager.filter(scope=key.scope, key=key.key, status=None).update(**changes)


def keep(context: str, key: Key, answer: Answer) -> None:
    """Keep an answer whose command had no effect of its own: a refusal. A key taken meanwhile keeps what it has."""
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
    """Forget what anybody was answered there about these resources. The keys stay used, and answer 404 from now on."""
    gone = refusal_answer(NotFound("What was answered here has been erased."))
    kept = _records(context)._default_manager.filter(scope__endswith=f":{endpoint}", resource__in=resources)
    body = json.dumps(gone.body)
    blank(kept.exclude(status=None).exclude(answer=body), status=gone.status, answer=body)


def prune(context: str, *, keep_for: timedelta = KEPT) -> int:
    gone, _ = _records(context)._default_manager.filter(created_at__lt=Now() - keep_for).delete()
    return gone


def plain(data: Any) -> Any:
    """``data`` as JSON readers will see it."""
    return json.loads(json.dumps(data, cls=JSONEncoder))


def refusal_answer(refusal: EciError) -> Answer:
    """How a refusal is remembered."""
    error = {"message": refusal.message, "code": refusal.code, "details": plain(refusal.details)}
    return Answer(status=refusal.status, body={"error": error})
