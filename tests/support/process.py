"""Another process of the product, with an environment and data folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.world import ROOT


def python(*arguments: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project's root on the data in ``folder``; ``env`` adds settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ECI_", "DJANGO_"))}
    clean |= {"ECI_DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
