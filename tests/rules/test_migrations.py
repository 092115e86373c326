"""The migrations make what the tests' own databases, which are made from the models, have: every check, too."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from tests.support import world

pytestmark = pytest.mark.any_engine

_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
_OTHERS = ("django_migrations",)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    world.prepare(world.environment(folder, {}))
    return folder


def parts(statement: str) -> frozenset[str]:
    """Columns and constraints of a CREATE statement, whose order depends on which migration came first."""
    inside = re.sub(r"^[^(]*\(|\)[^)]*$", "", statement)
    found, depth, part = [], 0, ""
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append(part.strip())
            part = ""
        else:
            part += character
    return frozenset([*found, part.strip()])


@pytest.mark.parametrize("context", settings.ECI_CONTEXTS)
def test_a_migrated_database_is_what_the_models_say(migrated: Path, context: str) -> None:
    with connections[context].cursor() as cursor:
        cursor.execute(_SCHEMA)
        from_models = {name: parts(sql) for name, sql in cursor.fetchall() if name not in _OTHERS}
    with closing(sqlite3.connect(migrated / f"{context}.sqlite3")) as connection:
        from_migrations = {name: parts(sql) for name, sql in connection.execute(_SCHEMA) if name not in _OTHERS}
    assert from_migrations == from_models
