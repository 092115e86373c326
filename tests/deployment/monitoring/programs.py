"""Prometheus and Alertmanager as Debian packages them, run for a test."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.product import wait_until
from tests.support.world import ON_SERVERS, ROOT
from tools.servers import binary

# Beside servers it is an error: tools/on-servers.sh installs them there.
needs_prometheus = pytest.mark.skipif(
    not ON_SERVERS and binary("promtool") is None,
    reason="Prometheus is not installed: tools/install-servers.sh --monitoring",
)


def path_of(program: str) -> str:
    found = binary(program)
    assert found is not None, f"{program} is not installed: tools/install-servers.sh --monitoring"
    return found


def for_this_alertmanager(config: str) -> str:
    """The configuration as the installed Alertmanager knows it: Debian 12's has no ``url_file`` for a webhook."""
    said = subprocess.run([path_of("amtool"), "--version"], capture_output=True, text=True)
    if re.search(r"version 0\.2[0-5]\.", said.stdout + said.stderr):
        return re.sub(r"url_file: (/run/secrets/alerts_watchdog_url)", r"url: http://127.0.0.1\1", config)
    return config


@contextmanager
def running(
    command: list[str], log: Path, ready: Callable[[], bool], environment: dict[str, str] | None = None
) -> Iterator[None]:
    """The program, from when it is ready until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:

        def is_ready() -> bool:
            assert process.poll() is None, log.read_text()[-2000:]
            return ready()

        wait_until(is_ready, 60, f"{command[0]} is ready; see {log}")
        yield
    finally:
        process.terminate()
        process.wait(60)
