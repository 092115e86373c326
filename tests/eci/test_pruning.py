"""What is old is deleted in small steps."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from contexts.catalog.models import InboxEvent
from eci import outbox, pruning
from eci.clock import utcnow


def test_steps_leave_nothing_old_and_everything_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 2)
    old, new = utcnow() - timedelta(days=15), utcnow()
    times = [old, old, old, old + timedelta(seconds=1), old, new, new]
    InboxEvent.objects.bulk_create(InboxEvent(event_id=uuid.uuid4(), name="a", received_at=at) for at in times)
    assert outbox.prune("catalog", keep=timedelta(days=14)) == 5
    assert set(InboxEvent.objects.values_list("received_at", flat=True)) == {new}
    assert outbox.prune("catalog", keep=timedelta(days=14)) == 0
