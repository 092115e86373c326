"""nginx, which the gateway is."""

from __future__ import annotations

import os
import shutil

import pytest


def nginx() -> str:
    """The program; the test that asked is skipped in so many words where it cannot be had, and fails in CI."""
    found = shutil.which("nginx", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        told = "NOT TESTED, for there is no nginx: tools/install-servers.sh --gateway"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    return found
