"""Programs that tests run, and that not every machine has."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.world import ROOT


def program(name: str, how: str) -> str:
    """Its path. The test that asked is skipped in so many words where it cannot be had, and fails in CI. ``how``: what
    installs it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", str(ROOT / ".venv/bin")]))
    if found is None:
        told = f"NOT TESTED, for there is no {name}: {how}"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    return found


def nginx() -> str:
    return program("nginx", "tools/install-servers.sh --gateway")


def chromium() -> str:
    return program("chromium", "tools/install-servers.sh --browser")
