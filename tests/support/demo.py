"""The demonstration's scripts, as their users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.support.world import ROOT

WORKFLOW, CALLS = "complete-ecommerce-workflow-demo.py", "interservice-workflow.py"


def run(
    script: str, *options: str, environment: Mapping[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """With Python alone: of the product nothing can be imported."""
    command = [sys.executable, "-S", script] if script.endswith(".py") else [f"./{script}"]
    done = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done
