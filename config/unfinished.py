"""A restore that was cut off leaves a mark: what it restored is not whole, and nothing may start on it.

The mark is a file of the data folder and, where the platform database is on a server, a table there, which other
machines see too. ``manage.py`` asks for the file before it loads Django.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

MARK = "restore_unfinished"
# These look at nothing of the shop, or are what helps.
_FREE = {
    *("restore", "help", "--help", "version", "--version", "check", "service_key", "backup_key", "contracts"),
    *("makemigrations", "collectstatic", "shell", "dbshell", "diffsettings", "test"),
}


def problem(arguments: list[str], *, folder: Path) -> str:
    """Why this command may not begin: a restore into the data folder ``folder`` was cut off. Empty where it may."""
    if not arguments or arguments[0] in _FREE or {"--help", "-h", "--list"} & set(arguments):
        return ""
    return in_folder(folder)


def in_folder(folder: Path) -> str:
    try:
        return _told((folder / MARK).read_text().strip())
    except OSError:
        return ""


def _told(backup: str) -> str:
    return (
        f"A restore of {backup} was cut off or is under way, so the databases are not whole. Run it to its end: "
        f"manage.py restore {shlex.quote(backup)} --force"
    )


def anywhere(folder: Path) -> str:
    """As ``in_folder``; asks the platform database, too. DatabaseError."""
    from django.db import connection

    if found := in_folder(folder):
        return found
    if connection.vendor == "sqlite":
        return ""
    with connection.cursor() as cursor:
        if MARK not in connection.introspection.table_names(cursor):
            return ""
        cursor.execute("SELECT backup FROM restore_unfinished")
        row = cursor.fetchone()
        return _told(row[0] if row else "newest")


def mark(folder: Path, backup: str) -> None:
    """OSError, DatabaseError."""
    from django.db import connection

    aside = folder / f"{MARK}.new"
    try:
        aside.write_text(backup)  # takes space: first, so that no mark is left where this fails
        if connection.vendor != "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE IF EXISTS restore_unfinished")
                cursor.execute("CREATE TABLE restore_unfinished (backup varchar(1000) NOT NULL)")
                cursor.execute("INSERT INTO restore_unfinished VALUES (%s)", [backup])
            connection.close()  # nobody else may be connected while the database is replaced
        aside.replace(folder / MARK)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def remove(folder: Path) -> None:
    """OSError, DatabaseError."""
    from django.db import connection

    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS restore_unfinished")
        connection.close()
    (folder / MARK).unlink(missing_ok=True)
