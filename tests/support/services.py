"""``manage.py services``, as a person at a terminal runs it: parts of a shop behind one gateway."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.contexts import CONTEXTS, GATEWAY_PORT
from tests.support.product import Product
from tests.support.programs import nginx
from tests.support.world import Seed, world


@contextmanager
def services(folder: Path, *cut: str, seed: Seed | None = None) -> Iterator[Product]:
    """A shop, not started. It is asked at the gateway. ``cut``: as ``manage.py services`` takes it."""
    nginx()
    offset = _free_offset()
    with world(seed, folder / "var") as own:
        command = ("services", *cut, "--offset", str(offset))
        made = Product(folder / "var", own, command=command, port=GATEWAY_PORT + offset)
        try:
            yield made
        finally:
            made.clean_up()
            for pid in processes(made):
                os.kill(pid, signal.SIGKILL)


def _free_offset() -> int:
    """One at which every port is free, below those that other tests use, and that the kernel gives away."""
    ports = [port for context in CONTEXTS.values() for port in (context.port, context.demo_port)]
    for offset in range(10_000 + os.getpid() % 100, 12_000, 100):
        if all(is_free(port + offset) for port in (*ports, GATEWAY_PORT)):
            return offset
    raise AssertionError("no free ports")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return bool(probe.connect_ex(("127.0.0.1", port)))


def processes(product: Product, *words: str) -> list[int]:
    """Those on its data whose environment has all the words. Each part has a session of its own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if f"ECI_DATA_DIR={product.data_dir}" in told and set(words) <= set(told):
                found.append(int(entry.name))
    return found


def environment_of(parts: Product, name: str) -> dict[str, str]:
    """What the deployment of this name is told."""
    lines = (parts.data_dir / "services" / f"{name}.env").read_text().splitlines()
    return dict(line.removeprefix("export ").replace("'", "").split("=", 1) for line in lines)
