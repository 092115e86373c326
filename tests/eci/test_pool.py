"""The pool of PostgreSQL's connections, when its server was restarted while nobody asked."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from eci import databases

pytestmark = pytest.mark.skipif(connections["catalog"].vendor != "postgresql", reason="PostgreSQL's alone")


def test_the_first_that_is_found_lost_is_not_followed_by_all_the_others() -> None:
    """Each would be found out by itself, with a pause that grows: the third waits longer than anybody."""
    import psycopg
    from psycopg_pool import ConnectionPool

    from eci.databases.postgresql.base import _connection_to

    settings = connections["catalog"].settings_dict
    server = (str(settings["HOST"]), str(settings["PORT"]))
    parameters = connections["catalog"].get_connection_params()
    names = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters}
    pool: Any = ConnectionPool(
        kwargs=names | {"autocommit": True},
        connection_class=_connection_to(server),
        min_size=4,
        timeout=2,
        check=ConnectionPool.check_connection,
        open=True,
    )
    try:
        pool.wait()
        taken = [pool.getconn() for _ in range(4)]
        with psycopg.connect(**names, autocommit=True) as other:
            for one in taken:
                other.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
        for one in taken:
            pool.putconn(one)
            one.answered = 0.0
        with pool.connection() as works:
            assert works.execute("SELECT 1").fetchone() == (1,)
    finally:
        pool.close()
        databases.hung.__init__()  # type: ignore[misc]
