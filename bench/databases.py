"""Plain connections to databases that are named by URL, past Django: PostgreSQL, MariaDB, SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit


def connect(url: str, **options: Any) -> Any:
    """A DB-API connection that commits every statement."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgres"):
        import psycopg

        return psycopg.connect(url, autocommit=True, **options)
    if parts.scheme == "mysql":
        import MySQLdb

        return MySQLdb.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=unquote(parts.password or ""),
            database=parts.path.lstrip("/"),
            autocommit=True,
            charset="utf8mb4",
            **options,
        )
    return sqlite3.connect(
        unquote(parts.path[1:]), isolation_level=None, timeout=20, **options
    )  # sqlite:////folder/file


@contextmanager
def cursor(url: str) -> Iterator[Any]:
    connection = connect(url)
    try:
        yield connection.cursor()
    finally:
        connection.close()


def number(cursor: Any, query: str) -> int:
    """The one number that the query finds."""
    cursor.execute(query)
    return int(cursor.fetchone()[0])


def version(url: str) -> str:
    """PostgreSQL 15.1, MariaDB 10.11, SQLite 3.40."""
    kind = urlsplit(url).scheme
    if kind.startswith("postgres"):
        with cursor(url) as found:
            found.execute("SHOW server_version")
            return f"PostgreSQL {found.fetchone()[0].split()[0]}"
    if kind == "mysql":
        with cursor(url) as found:
            found.execute("SELECT version()")
            return f"MariaDB {found.fetchone()[0].split('-')[0]}"
    return f"SQLite {sqlite3.sqlite_version}"
