"""Programs that tests run, and that not every machine has."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.world import ROOT


def program(name: str, how: str, *others: str) -> str:
    """Its path, or that of another that does as well. The test that asked is skipped in so many words where none can be
    had, and fails in CI. ``how``: what installs it."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", str(ROOT / ".venv/bin")])
    found = next(filter(None, (shutil.which(one, path=path) for one in (name, *others))), None)
    if found is None:
        told = f"NOT TESTED, for there is no {name}: {how}"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    return found


def nginx() -> str:
    return program("nginx", "tools/install-servers.sh --gateway")


def chromium() -> str:
    return program("chromium-headless-shell", "tools/install-servers.sh --browser", "chromium")
