"""A database that cannot be reached: the real driver fails, in a thread whose connections point at a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from django.db import connections

from tools.servers import free_ports

T = TypeVar("T")


def without_database(folder: Path, contexts: Iterable[str], ask: Callable[[], T]) -> T:
    """What ``ask`` answers while the databases of ``contexts`` cannot be opened."""

    def run() -> T:
        try:
            for context in contexts:
                connection = connections[context]
                nowhere = {"NAME": str(folder)} if connection.vendor == "sqlite" else {"PORT": free_ports(1)[0]}
                connection.settings_dict = connection.settings_dict | nowhere
            return ask()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()
