"""A database that would confuse keys is reported before it holds any."""

from __future__ import annotations

import pytest
from django.db import connections

from eci.checks import databases_distinguish_case
from tests.support.world import ON_SERVERS


@pytest.mark.skipif(not ON_SERVERS, reason="only MySQL and MariaDB have collations that ignore case")
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_collation_that_ignores_case_is_refused() -> None:
    assert databases_distinguish_case(None, databases=["orders", "catalog"]) == []
    connection = connections["orders"]
    own = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE careless COLLATE utf8mb4_general_ci")
        cursor.execute("USE careless")
        try:
            (found,) = databases_distinguish_case(None, databases=["orders"])
        finally:
            cursor.execute(f"USE `{own}`")
            cursor.execute("DROP DATABASE careless")
    assert (found.id, "utf8mb4_general_ci" in found.msg) == ("eci.E007", True)


def test_the_databases_of_this_run_are_fit() -> None:
    assert databases_distinguish_case(None, databases=["orders", "shipping", "catalog"]) == []
