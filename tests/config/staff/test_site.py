"""Staff's pages are loaded by those who need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.process import python

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

_LOOK = """
import sys, django
django.setup()
def pages():
    return [name for name in sys.modules if name.startswith("contexts.") and name.endswith(".admin")]
assert not pages(), pages()
{}
assert len(pages()) == 7, pages()
"""


@pytest.mark.parametrize(
    "needs",
    [
        "from django.core import checks; checks.run_checks(tags=['admin'])",
        "from django.urls import reverse; reverse('admin:catalog_product_changelist')",
    ],
    ids=["checks", "web"],
)
def test_by_checks_and_by_web_and_not_before(tmp_path: Path, needs: str) -> None:
    done = python("-c", _LOOK.format(needs), folder=tmp_path, ECI_DEBUG="1", ECI_OPEN="1")
    assert done.returncode == 0, done.stderr
