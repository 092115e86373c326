"""A world of its own for this process and its children."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.world import ON_SERVERS, ROOT, Seed, seed, world

ENGINES = "PostgreSQL, MariaDB and Redis" if ON_SERVERS else "SQLite"


def empty(place: Path) -> Seed:
    """Migrated databases with nothing in them: those of the test run where it names its folder, else made here."""
    return seed(Path(os.environ.get("TORTURE_SEED", place)))


@contextmanager
def stage() -> Iterator[dict[str, str]]:
    """Django set up on new databases and used once, so that a child begins where a request would; their environment."""
    with tempfile.TemporaryDirectory(prefix="eci-torture-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        with world(empty(place), place / "var", ECI_GATEWAY_TIMEOUT="0.01") as environment:
            os.environ.update(environment, DJANGO_SETTINGS_MODULE="tests.settings")
            import django

            django.setup()

            from tests.trouble.torture import shop

            logging.disable()  # what fails here fails on purpose
            shop.warm_up()
            gc.freeze()
            yield environment


def run(shared: Seed, *words: str) -> None:
    """One of these programs on copies of the test run's seed. It must find nothing."""
    environment = os.environ | {"TORTURE_SEED": str(shared.folder.parent)}
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
