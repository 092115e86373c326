"""Lists of reservations are read by index, however many others there are."""

from __future__ import annotations

from datetime import timedelta

from django.db import connections
from django.test.utils import CaptureQueriesContext

from contexts.inventory.models import Reservation
from eci.clock import utcnow
from tests.support.api import Api


def test_those_of_a_status_behind_many_others(api: Api) -> None:
    old, now = utcnow() - timedelta(days=9), utcnow()
    Reservation.objects.bulk_create(
        Reservation(key=f"{status}-{number}", fingerprint="f", status=status, created_at=at, expires_at=at)
        for status, count, at in (("CONFIRMED", 30, old), ("SHIPPED", 3000, now))
        for number in range(count)
    )
    connection = connections["inventory"]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inventory_reservation")
    with CaptureQueriesContext(connection) as asked:
        page = api.get("/v1/inventory/reservations?status=CONFIRMED&limit=20")
    assert [row["idempotency_key"] for row in page.data] == [f"CONFIRMED-{number}" for number in range(29, 9, -1)]
    statement = next(one["sql"] for one in asked if "LIMIT" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"{connection.ops.explain_query_prefix()} {statement}")
        plan = " ".join(str(line) for line in cursor.fetchall())
    assert "inventory_reservation_status" in plan, plan
