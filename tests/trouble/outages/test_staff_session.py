"""Staff's sessions stand in the platform database: while it is away they are told to come again, by no error page."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.away import without_database


@pytest.mark.parametrize("path", ["/admin/", "/admin/orders/order/", "/v1/products"])
def test_without_the_platform_database_staff_is_told_to_come_again(tmp_path: Path, path: str) -> None:
    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("ann", "ann@example.com", "a long enough password"))
    answer = without_database(tmp_path, ["default"], lambda: staff.get(path))
    assert (answer.status_code, answer.json()["code"]) == (503, "context_unavailable")
    assert answer.headers["Retry-After"]
