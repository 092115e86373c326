"""Migrations by database. Each database runs the migrations of the apps whose tables live there, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.core.management import call_command
from django.db import connections
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from eci.db import alias_of, primaries


class OwnMigrations(MigrationExecutor):
    """Plans only migrations of the apps whose tables live on this database; Django's own plans those of every app."""

    def migration_plan(
        self, targets: Iterable[tuple[str, str | None]], clean_start: bool = False
    ) -> list[tuple[Migration, bool]]:
        own = [target for target in targets if alias_of(target[0]) == self.connection.alias]
        return super().migration_plan(own, clean_start)


def due(alias: str) -> list[tuple[str, str]]:
    """App and name of each migration that this database still needs, in the order in which they must run."""
    executor = OwnMigrations(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [(migration.app_label, migration.name) for migration, _ in plan]


def migrate_all(say: Callable[[str], object]) -> None:
    """Bring every database up to date; quick when all are.

    Migrates app by app: without an app, Django runs and records the migrations of all apps in every database.
    """
    for alias in primaries():
        if waiting := due(alias):
            say(f"Preparing the {'platform' if alias == 'default' else alias} database ...")
            for app in dict.fromkeys(app for app, _ in waiting):
                call_command("migrate", app, database=alias, verbosity=0, skip_checks=True)
