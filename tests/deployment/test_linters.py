"""Shell scripts and the Dockerfile, as their linters see them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

BIN = Path(sys.executable).parent


def test_shell_scripts() -> None:
    scripts = [
        str(file) for folder in ("k8s", "k8s-manifests", "docker") for file in sorted((ROOT / folder).rglob("*.sh"))
    ]
    assert len(scripts) > 3
    done = subprocess.run([BIN / "shellcheck", "-x", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile() -> None:
    done = subprocess.run([BIN / "hadolint", str(ROOT / "docker/Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
