"""Old answers and handled events are forgotten."""

from __future__ import annotations

import uuid
from datetime import timedelta

from contexts.shipping import tasks
from contexts.shipping.models import Idempotency, InboxEvent
from eci.clock import utcnow


def test_prune_forgets_what_is_old_and_nothing_else() -> None:
    for age in (timedelta(days=15), timedelta(days=1)):
        InboxEvent.objects.create(event_id=uuid.uuid4(), name="x", received_at=utcnow() - age)
        Idempotency.objects.create(scope="x", key=str(age), fingerprint="x", created_at=utcnow() - age)

    tasks.prune()

    assert InboxEvent.objects.count() == 1
    assert Idempotency.objects.count() == 1
