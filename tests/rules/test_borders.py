"""importlinter.ini holds, and each of its contracts breaks when its border is crossed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

_PACKAGES = ("eci", "contexts", "config")


def _contracts() -> dict[str, str]:
    """Id -> name of every contract."""
    parser = ConfigParser()
    parser.read(ROOT / "importlinter.ini")
    prefix = "importlinter:contract:"
    return {
        section.removeprefix(prefix): parser[section]["name"]
        for section in parser.sections()
        if section.startswith(prefix)
    }


@dataclass
class Tree:
    """A copy of the packages in which borders may be crossed."""

    root: Path
    before: dict[Path, str | None] = field(default_factory=dict)

    def plant(self, file: str, line: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        self.before.setdefault(path, path.read_text() if path.exists() else None)
        with path.open("a") as source:
            source.write(f"\n{line}\n")

    def restore(self) -> None:
        for path, text in self.before.items():
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        shutil.rmtree(self.root / "contexts/planted", ignore_errors=True)
        self.before.clear()

    def lint(self) -> tuple[set[str], str]:
        """Names of the broken contracts, and what the linter said."""
        linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
        run = subprocess.run(
            [sys.executable, "-c", linter, "--config", "importlinter.ini", "--no-cache"],
            cwd=self.root,
            env={"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "250"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.*\))?$", run.stdout, re.MULTILINE)
        assert {name for name, _ in told} == set(_contracts().values()), run.stdout + run.stderr
        broken = {name for name, verdict in told if verdict == "BROKEN"}
        assert run.returncode == bool(broken), run.stdout
        return broken, run.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("borders")
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "importlinter.ini", root)
    return Tree(root)


@pytest.fixture
def tree(copied: Tree) -> Iterator[Tree]:
    yield copied
    copied.restore()


def test_every_border_holds(tree: Tree) -> None:
    broken, told = tree.lint()
    assert not broken, told


_NEW_CONTEXT = [
    (f"contexts/planted/{file}", "")
    for file in (
        "__init__.py",
        "public/__init__.py",
        "public/contracts.py",
        "public/events.py",
        "public/api.py",
    )
]
_DRF = [
    (f"contexts/orders/{module}.py", "import rest_framework.response")
    for module in ("local", "workflows", "services", "selectors", "models", "domain", "tasks", "handlers")
]
_INTERNALS = [
    ("config/urls.py", f"import contexts.{module}")
    for module in (
        "payments.adapters",
        "orders.local",
        "orders.workflows",
        "orders.services",
        "orders.selectors",
        "orders.models",
        "orders.domain",
        "orders.admin",
        "inventory.management",
        "orders.tasks",
        "orders.handlers",
    )
]

_BY_ANOTHER_DOOR = [
    ("config/books/reconcile.py", "import contexts.orders.http.views"),
    ("config/operations/metrics.py", "import contexts.orders.apps"),
    ("config/people/export.py", "import contexts.catalog.http.urls"),
]

Crossing = tuple[list[tuple[str, str]], list[str]]

# Contract id, the lines planted (each must be told of), and what the linter calls each crossing.
CROSSINGS: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("roots", [("eci/planted.py", "import contexts.orders.public.contracts")], ["eci.planted -> contexts.orders"]),
    ("roots", [("contexts/orders/services.py", "import config.contexts")], ["orders.services -> config.contexts"]),
    (
        "independence",
        [("contexts/notifications/services.py", "import contexts.orders.services")],
        ["contexts.notifications.services -> contexts.orders.services"],
    ),
    (
        "context-map",
        [("contexts/catalog/services.py", "import contexts.orders.public.contracts")],
        ["contexts.catalog.services -> contexts.orders.public.contracts"],
    ),
    (
        "context-map",
        [("contexts/shipping/services.py", "import contexts.payments.public.contracts")],
        ["contexts.shipping.services -> contexts.payments.public.contracts"],
    ),
    ("context-map", _NEW_CONTEXT, ["contexts.planted"]),
    (
        "inside",
        [("contexts/catalog/selectors.py", "import contexts.catalog.services")],
        ["contexts.catalog.selectors -> contexts.catalog.services"],
    ),
    ("inside", [("contexts/catalog/helpers.py", "")], ["contexts.catalog.helpers"]),
    (
        "public-inside",
        [("contexts/shipping/public/contracts.py", "import contexts.shipping.public.events")],
        ["contexts.shipping.public.contracts -> contexts.shipping.public.events"],
    ),
    ("public-inside", [("contexts/shipping/public/helpers.py", "")], ["contexts.shipping.public.helpers"]),
    (
        "pure",
        [
            ("contexts/shipping/public/contracts.py", "import django.utils.timezone"),
            ("contexts/orders/public/events.py", "import rest_framework"),
            ("contexts/catalog/public/events.py", "import celery"),
        ],
        ["shipping.public.contracts -> django", "orders.public.events -> rest_framework", "public.events -> celery"],
    ),
    (
        "http-via-services",
        [("contexts/catalog/http/views.py", "import contexts.catalog.models")],
        ["contexts.catalog.http.views -> contexts.catalog.models"],
    ),
    ("drf-stays-at-the-door", _DRF, [f"{file[9:-3].replace('/', '.')} -> rest_framework" for file, _ in _DRF]),
    ("config-wires-only", _INTERNALS, [f"config.urls -> {line.split()[1]}" for _, line in _INTERNALS]),
    (
        "config-rooms",
        [
            ("config/books/audit.py", "import config.operations.backup"),
            ("config/staff/accounts.py", "import config.books.models"),
            ("config/environment.py", "import config.urls"),
        ],
        [
            "config.books.audit -> config.operations.backup",
            "config.staff.accounts -> config.books.models",
            "config.environment -> config.urls",
        ],
    ),
    ("config-rooms", [("config/planted.py", "")], ["config.planted"]),
    (
        "books-inside",
        [("config/books/audit.py", "import config.books.reconcile")],
        ["config.books.audit -> config.books.reconcile"],
    ),
    ("books-inside", [("config/books/planted.py", "")], ["config.books.planted"]),
    (
        "operations-inside",
        [("config/operations/snapshots.py", "import config.operations.backup")],
        ["config.operations.snapshots -> config.operations.backup"],
    ),
    ("operations-inside", [("config/operations/planted.py", "")], ["config.operations.planted"]),
    (
        "desk-inside",
        [("config/desk/front.py", "import config.desk.pages")],
        ["config.desk.front -> config.desk.pages"],
    ),
    (
        "staff-knows-no-context",
        [("config/staff/home.py", "import contexts.orders.public.api")],
        ["config.staff.home -> contexts.orders.public.api"],
    ),
    (
        "rooms-by-public",
        _BY_ANOTHER_DOOR,
        [f"{file[:-3].replace('/', '.')} -> {line.split()[1]}" for file, line in _BY_ANOTHER_DOOR],
    ),
]


def _rounds() -> Iterator[dict[str, Crossing]]:
    """Crossings by contract: the first of each together, then the second ones, and so on."""
    by_contract: dict[str, list[Crossing]] = {}
    for contract, planted, told_of in CROSSINGS:
        by_contract.setdefault(contract, []).append((planted, told_of))
    for number in range(max(map(len, by_contract.values()))):
        yield {contract: found[number] for contract, found in by_contract.items() if number < len(found)}


@pytest.mark.parametrize("crossings", list(_rounds()), ids=["first", "second", "third"])
def test_a_crossed_border_breaks_its_contract(tree: Tree, crossings: dict[str, Crossing]) -> None:
    for planted, _ in crossings.values():
        for file, line in planted:
            tree.plant(file, line)
    broken, told = tree.lint()
    assert broken == {_contracts()[contract] for contract in crossings}, told
    for contract, (_, told_of) in crossings.items():
        name = _contracts()[contract]
        [about] = re.findall(rf"^{re.escape(name)}\n-+\n(.*?)(?=^[^\n]+\n-+\n|\Z)", told, re.MULTILINE | re.DOTALL)
        assert [crossing for crossing in told_of if crossing not in about] == [], about


def test_every_contract_has_a_crossing() -> None:
    assert {contract for contract, _, _ in CROSSINGS} == set(_contracts())
