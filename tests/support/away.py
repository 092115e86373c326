"""A database that cannot be reached (the real driver fails, in a thread whose connections point at a folder), and a
context that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from django.db import connections

from eci.calls import rpc
from eci.errors import ContextUnavailable
from tools.servers import free_ports

T = TypeVar("T")


def unreachable(context: str) -> AbstractContextManager[None]:
    """Every call to the context says that it cannot be reached."""

    class Away:
        def __getattr__(self, name: str) -> Any:
            def refuse(**kwargs: Any) -> Any:
                raise ContextUnavailable(f"The {context} context cannot be reached.")

            return refuse

    return rpc.replaced(context, Away())


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
