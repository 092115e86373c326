"""Old answers and handled events are forgotten."""

from __future__ import annotations

import uuid
from datetime import timedelta

from contexts.catalog.models import Idempotency, InboxEvent
from contexts.catalog.tasks import prune
from eci.clock import utcnow


def test_old_answers_and_inbox_rows_go_and_recent_ones_stay() -> None:
    now = utcnow()
    for days in (1, 3, 15):
        at = now - timedelta(days=days)
        Idempotency.objects.create(scope="s", key=str(days), fingerprint="f", created_at=at)
        InboxEvent.objects.create(event_id=uuid.uuid4(), name=str(days), received_at=at)
    prune()
    assert list(Idempotency.objects.values_list("key", flat=True)) == ["1"]
    assert set(InboxEvent.objects.values_list("name", flat=True)) == {"1", "3"}
