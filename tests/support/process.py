"""Another process of the product, with an environment and data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
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


_ONE_AFTER_ANOTHER = """
import contextlib, io, json, sys
from django.core.management import execute_from_command_line
from django.db import connections
ended = []
for words in json.loads(sys.argv[1]):
    code, told = 0, io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            execute_from_command_line(["manage.py", *words])
        except SystemExit as end:
            code = end.code
    connections.close_all()
    ended.append((code, told.getvalue()))
print(json.dumps(ended))
"""


def commands(environment: Mapping[str, str], *several: Sequence[str]) -> list[tuple[int, str]]:
    """With which code each management command ends, and what it says: in one process, for loading one takes longest."""
    done = subprocess.run(
        [sys.executable, "-c", _ONE_AFTER_ANOTHER, json.dumps(several)],
        cwd=ROOT,
        env=dict(environment) | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [(code, told) for code, told in json.loads(done.stdout)]
