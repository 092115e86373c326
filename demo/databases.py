#!/usr/bin/env python3
"""The databases of make run, one for each service: its tables with their rows, and that none has another's tables."""

from __future__ import annotations

import argparse
import os
import sqlite3
from pathlib import Path

from shop import SERVICES, Failed, require, run

# Every service has its own of these: what it has to tell, was told, has answered, and its migrations.
OF_EVERYBODY = ("outbox", "inbox", "idempotency", "usedservicetoken", "django_")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ECI_DATA_DIR", "var"), help="make run's (var)")
    folder = parser.parse_args().data_dir
    found: dict[str, set[str]] = {}
    for context, service in SERVICES.items():
        path = folder / f"{context}.sqlite3"
        if not path.exists():
            raise Failed(
                f"There is no {path}: give --data-dir, or ask the servers with psql and mysql (DEMO-GUIDE.md)."
            )
        rows = tables(path)
        print(f"\n{service.name}: {path.name}")
        for table, count in rows.items():
            print(f"  {table:<42}{count:>10}")
        found[context] = set(rows)
    names = [table for own in found.values() for table in own]
    require(len(names) == len(set(names)), "Two services have a table of the same name.")
    print(f"\n✅ {len(found)} databases, {len(names)} tables, none in two of them")


def tables(path: Path) -> dict[str, int]:
    """Rows by table, as another process sees them while the shop works."""
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10) as connection:
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        names = [name for (name,) in listed if not name.startswith("sqlite_")]
        own = [name for name in names if not any(word in name for word in OF_EVERYBODY)]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in own}


if __name__ == "__main__":
    run(main)
