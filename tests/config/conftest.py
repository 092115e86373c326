"""A command as a shell sees it, and a process that has just started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.staff import audit
from contexts.orders import workflows


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The switch for new orders is read anew each time, and nothing waits between two looks."""
    monkeypatch.setattr(audit, "PAUSE", 0)
    monkeypatch.setattr(workflows, "SWITCH_KEPT", 0)
    workflows._switch_seen = None
    yield
    workflows._switch_seen = None


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str]) -> Any:
    """``manage("settle", "2026-11-22")``: exit code and what was printed, as a shell would see them."""

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        try:
            call_command(*words)
        except CommandError as error:
            return 1, f"{capsys.readouterr().out}{error}"
        return 0, capsys.readouterr().out

    return run
