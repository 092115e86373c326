"""What ``make prove`` takes away one at a time is where it says."""

from __future__ import annotations

import pytest

from tests.support.world import ROOT
from tools.prove import SAFETIES, Safety

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


@pytest.mark.parametrize("safety", SAFETIES, ids=lambda safety: safety.name)
def test_it_stands_once_in_its_file_and_its_tests_exist(safety: Safety) -> None:
    assert (ROOT / safety.file).read_text().count(safety.text) == 1
    assert [test for test in safety.tests if not (ROOT / test.partition("::")[0]).exists()] == []
