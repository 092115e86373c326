from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import limits


@pytest.fixture(autouse=True)
def closed(settings: Any, tmp_path: Path) -> None:
    """The shop as it is outside development, with keys of its own; how often one may call is not the subject here."""
    settings.ECI_OPEN = False
    settings.ECI_KEYS_DIR = tmp_path / "keys"
    settings.ECI_RATE_LIMITS = limits.parse("off")
