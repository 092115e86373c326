"""The docstring of ``eci`` is a map of the kernel: it names every module, and none that does not exist."""

from __future__ import annotations

import pkgutil
import re

import pytest

import eci

pytestmark = pytest.mark.no_database


def test_the_map_has_every_module() -> None:
    found = pkgutil.walk_packages(eci.__path__, prefix="eci.")
    modules = sorted(module.name.removeprefix("eci.") for module in found if not module.ispkg)
    assert sorted(re.findall(r"^    ([a-z0-9_.]+)  ", eci.__doc__ or "", re.MULTILINE)) == modules
