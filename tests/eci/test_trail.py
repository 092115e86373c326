"""The trail of staff's writes: lines are added with the write, and never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.staff.models import Trail
from eci import trail
from eci.db import unit_of_work


def record(actor: str, **what: Any) -> None:
    with unit_of_work("default"):
        trail.record("staff", actor=actor, action="changed", thing="lamp:1", **what)


def test_a_line_says_who_when_before_and_after() -> None:
    record("staff:ann", before={"price": Decimal("1.50"), "name": "Lamp"}, after={"price": Decimal(2), "name": "Lamp"})
    line = Trail.objects.get()
    assert (line.actor, line.action, line.thing) == ("staff:ann", "changed", "lamp:1")
    assert (line.before, line.after) == ({"price": "1.50"}, {"price": "2"}), "only what changed"
    assert line.at <= datetime.now(UTC)


def test_what_is_new_or_gone_has_one_side_only() -> None:
    record("open", after={"name": "Lamp"})
    record("command:root", before={"name": "Lamp"})
    assert [(line.before, line.after) for line in Trail.objects.order_by("pk")] == [
        ({}, {"name": "Lamp"}),
        ({"name": "Lamp"}, {}),
    ]


@pytest.mark.parametrize("actor", ["customer:4", "system", "service:inventory", "anonymous", "prometheus"])
def test_what_is_not_staff_s_is_not_kept(actor: str) -> None:
    record(actor, after={"name": "Lamp"})
    assert not Trail.objects.exists()


def test_a_write_that_changes_nothing_leaves_no_line() -> None:
    record("staff:ann", before={"name": "Lamp"}, after={"name": "Lamp"})
    assert not Trail.objects.exists()


def test_lines_go_with_the_write() -> None:
    with pytest.raises(RuntimeError, match="outside"):
        trail.record("staff", actor="staff:ann", action="changed", thing="lamp:1")
    with pytest.raises(ValueError, match="no"), unit_of_work("default"):
        trail.record("staff", actor="staff:ann", action="changed", thing="lamp:1")
        raise ValueError("no")
    assert not Trail.objects.exists()


def test_nobody_changes_or_deletes_one() -> None:
    record("staff:ann", after={"name": "Lamp"})
    line = Trail.objects.get()
    line.actor = "staff:bob"
    for attempt in (line.save, line.delete, Trail.objects.all().delete, lambda: Trail.objects.update(actor="x")):
        with pytest.raises(TypeError, match="A trail is never"):
            attempt()
    assert Trail.objects.get().actor == "staff:ann"


def test_what_a_person_is_told_of_can_be_erased() -> None:
    record("staff:ann", after={"email": "ann@example.com"})
    with unit_of_work("default"):
        trail.record("staff", actor="staff:ann", action="changed", thing="lamp:2", after={"name": "Lamp"})
        trail.erase("staff", things=["lamp:1"])
    assert [line.after for line in Trail.objects.order_by("pk")] == [trail.ERASED, {"name": "Lamp"}]


def test_staff_looks_at_it_only() -> None:
    record("staff:ann", after={"name": "Lamp"})
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    pages = [browser.get(f"/admin/staff/trail/{page}") for page in ("", f"{Trail.objects.get().pk}/change/", "add/")]
    assert [page.status_code for page in pages] == [200, 200, 403]
    assert b'name="_save"' not in pages[1].content
