"""A world of its own for this process and its children."""

from __future__ import annotations

import gc
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.world import ON_SERVERS, seed, world

ENGINES = "PostgreSQL, MariaDB and Redis" if ON_SERVERS else "SQLite"


@contextmanager
def stage() -> Iterator[dict[str, str]]:
    """Django set up on new databases and used once, so that a child begins where a request would; their environment."""
    with tempfile.TemporaryDirectory(prefix="eci-torture-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        with world(seed(place), place / "var", ECI_GATEWAY_TIMEOUT="0.01") as environment:
            os.environ.update(environment, DJANGO_SETTINGS_MODULE="tests.settings")
            import django

            django.setup()

            from tests.trouble.torture import shop

            logging.disable()  # what fails here fails on purpose
            shop.warm_up()
            gc.freeze()
            yield environment
