"""Migrations by database: each runs those of the apps whose tables live there, and no others."""

from __future__ import annotations

from collections.abc import Callable

from django.core.management import call_command
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from eci.db import alias_of, primaries


def due(alias: str) -> list[tuple[str, str]]:
    """App and name of each migration that this database still needs, in their order."""
    executor = MigrationExecutor(connections[alias])
    leaves = [node for node in executor.loader.graph.leaf_nodes() if alias_of(node[0]) == alias]
    return [(migration.app_label, migration.name) for migration, _ in executor.migration_plan(leaves)]


def migrate_all(say: Callable[[str], object]) -> None:
    """Bring every database up to date; quick when all are.

    App by app: without one, Django walks and records the migrations of all of them in every database.
    """
    for alias in primaries():
        if waiting := due(alias):
            say(f"Preparing the {'platform' if alias == 'default' else alias} database ...")
            for app in dict.fromkeys(app for app, _ in waiting):
                call_command("migrate", app, database=alias, verbosity=0, skip_checks=True)
