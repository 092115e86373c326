"""Migrations by database. Each database runs the migrations of the apps whose tables live there, and no others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.core.management import call_command
from django.db import connections
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from eci.db import alias_of, primaries


@cache
def _migrations() -> MigrationGraph:
    """All there are: those of one process never change, and to read them takes longer than all else here."""
    graph: MigrationGraph = MigrationLoader(None).graph
    return graph


def due(alias: str) -> list[tuple[str, str]]:
    """App and name of each migration that this database still needs, in the order in which they must run."""
    applied = MigrationRecorder(connections[alias]).applied_migrations()
    own = [target for target in _migrations().leaf_nodes() if alias_of(target[0]) == alias]
    needed = dict.fromkeys(migration for target in own for migration in _migrations().forwards_plan(target))
    return [migration for migration in needed if migration not in applied]


def migrate_all(say: Callable[[str], object]) -> None:
    """Bring every database up to date; quick when all are.

    Migrates app by app: without an app, Django runs and records the migrations of all apps in every database.
    """
    for alias in primaries():
        if waiting := due(alias):
            say(f"Preparing the {'platform' if alias == 'default' else alias} database ...")
            for app in dict.fromkeys(app for app, _ in waiting):
                call_command("migrate", app, database=alias, verbosity=0, skip_checks=True)
