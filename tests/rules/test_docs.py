"""The docs name nothing that does not exist: files, links, modules, make targets, manage.py commands, settings, and the
code of "One order, followed" in docs/architecture.md."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import get_commands

from config.contexts import BEAT, CONTEXTS
from tests.rules.source import ROOT, last_name, product

pytestmark = pytest.mark.no_database

_FOLDERS = "bench|config|contexts|demo|docker|docs|eci|k8s|monitoring|tests|tools"
_CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_PATH = re.compile(rf"(?<![\w./<-])(?:{_FOLDERS})/[\w./*<>{{}},-]*")
_LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")
_MAKE = re.compile(r"""(?<![\w-])make((?: +(?:[A-Z_]+=(?:"[^"]*"|'[^']*'|[^\s"']+)|[a-z][a-z0-9-]*))+)""")
_MANAGE = re.compile(r"""(?:manage\.py +|ARGS=["']?)([a-z_-]+)""")
_TEST = re.compile(r"(tests/[\w/]+\.py)((?:::\w+)+)")
_MODULE = re.compile(r"(?<![\w./-])(?:bench|contexts|tests)(?:\.\w+)+|(?<=python -m )[\w.]+")
_NAMED_SETTING = re.compile(r"ECI_(?:\{name\.upper\(\)\}|[A-Z0-9])[A-Z0-9_]*")
_SETTING = re.compile(r"(?<![A-Z_])ECI_[A-Z0-9_]+(?![A-Z0-9_*<{])")


@dataclass(frozen=True)
class Page:
    path: Path
    text: str

    def code(self) -> Iterator[str]:
        """What stands in backticks, and in blocks of code without its comments."""
        for found in _CODE.findall(self.text):
            yield re.sub(r"(?:^|\s)#.*", "", found.strip(" `\n"))


def _page(path: Path) -> Page:
    return Page(path, path.read_text())


@functools.cache
def pages() -> tuple[Page, ...]:
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return tuple(map(_page, paths))


# -- what a page names and is not there -------------------------------------------------------------------------------


def missing_paths(page: Page) -> Iterator[str]:
    """``<name>``, ``{a,b}`` and ``*`` stand for anything that is there. Programs make what git ignores."""
    for code in page.code():
        for path in _PATH.findall(code):
            pattern = re.sub(r"<[^>]*>|\{[^}]*\}", "*", path).rstrip("./,-")
            if not f"{pattern}/".startswith(_ignored()) and not any(ROOT.glob(pattern)):
                yield path


def broken_links(page: Page) -> Iterator[str]:
    for target in _LINK.findall(page.text):
        if "://" not in target and not (page.path.parent / target).exists():
            yield target


def missing_tests(page: Page) -> Iterator[str]:
    for path, names in _TEST.findall(page.text):
        text = (ROOT / path).read_text() if (ROOT / path).exists() else ""
        for name in names.split("::")[1:]:
            if not re.search(rf"(def|class) {name}\b", text):
                yield f"{path}::{name}"


def missing_modules(page: Page) -> Iterator[str]:
    for code in page.code():
        for name in _MODULE.findall(code):
            path = ROOT / name.replace(".", "/")
            if not path.is_dir() and not path.with_suffix(".py").exists() and name not in names():
                yield name


def missing_targets(page: Page) -> Iterator[str]:
    for code in page.code():
        for words in _MAKE.findall(code):
            given = re.sub(r"""\w+=("[^"]*"|'[^']*')""", "", words).split()
            yield from (f"make {word}" for word in given if "=" not in word and word not in _targets())


def missing_commands(page: Page) -> Iterator[str]:
    for code in page.code():
        yield from (
            f"manage.py {name}" for name in _MANAGE.findall(code) if name.replace("-", "_") not in get_commands()
        )


def missing_settings(page: Page) -> Iterator[str]:
    yield from (name for name in _SETTING.findall(page.text) if not _reads(name))


def missing_names(page: Page) -> Iterator[str]:
    """Of the code that an order is followed through: ``workflows.place``, ``Runner``, ``reserve()``."""
    section = page.text.partition("## One order, followed")[2].partition("\n## ")[0]
    for code in Page(page.path, section).code():
        name = code.removesuffix("()")
        if re.fullmatch(r"\w+(\.\w+)*", name) and name not in names():
            yield name


# -- what there is ----------------------------------------------------------------------------------------------------


@functools.cache
def _ignored() -> tuple[str, ...]:
    return tuple(line for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/"))


@functools.cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _reads(setting: str) -> bool:
    """A program reads it, or a manifest sets it. A context's name may be put in, and a file may hold the value."""
    name = setting.removesuffix("_FILE")
    contexts = "|".join(context.upper() for context in CONTEXTS)
    return bool({name, re.sub(rf"^ECI_({contexts})_", "ECI_{name.upper()}_", name)} & _read())


@functools.cache
def _read() -> frozenset[str]:
    """Every setting that programs and manifests name."""
    found = set(_NAMED_SETTING.findall((ROOT / "Makefile").read_text()))
    for folder in ("config", "eci", "tools", "docker", "k8s", "tests"):
        for path in (ROOT / folder).rglob("*"):
            ours = path.is_file() and not {"rules", "secrets", "__pycache__"} & set(path.parts)
            if ours and path.suffix in ("", ".py", ".sh", ".yml", ".yaml"):
                found.update(_NAMED_SETTING.findall(path.read_text()))
    return frozenset(found)


@functools.cache
def names() -> frozenset[str]:
    """Everything the product defines, by each end of its full name: ``contexts.orders.workflows.place`` is also
    ``workflows.place`` and ``place``. Methods of a contract are also its context's: ``inventory.reserve``."""
    found: set[str] = set(BEAT)
    for context in CONTEXTS.values():
        found.update(context.beat)
    for module in product():
        full = [module.name]
        for node in module.tree.body:
            full += [f"{module.name}.{name}" for name in _defined(node)]
            if isinstance(node, ast.ClassDef):
                members = [name for member in node.body for name in _defined(member)]
                full += [f"{module.name}.{node.name}.{name}" for name in members]
                if module.place == "public/contracts.py":
                    full += [f"{module.context}.{name}" for name in members]
                if module.place == "public/events.py":
                    full += [event for member in node.body for event in _event(member)]
        for name in full:
            parts = name.split(".")
            found.update(".".join(parts[start:]) for start in range(len(parts)))
    return frozenset(found)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [last_name(target) for target in node.targets]
    if isinstance(node, ast.AnnAssign):
        return [last_name(node.target)]
    return [alias.asname or alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []


def _event(node: ast.stmt) -> list[str]:
    """``NAME = "orders.order_confirmed.v1"``, with and without its version."""
    value = getattr(node, "value", None)
    if "NAME" not in _defined(node) or not isinstance(value, ast.Constant):
        return []
    return [value.value, value.value.rpartition(".")[0]]


# -- the tests --------------------------------------------------------------------------------------------------------

CHECKS = {
    missing_paths: ("Look at `contexts/orders/nowhere.py` and `docs/nowhere/*.md`.", 2),
    broken_links: (
        "[here](nowhere.md), [there](nowhere/README.md#part), [elsewhere](https://example.com/a.md)",
        2,
    ),
    missing_tests: (
        "`tests/nowhere.py::test_it`, `tests/rules/test_docs.py::TestNowhere::test_nowhere`;"
        " `tests/rules/test_docs.py::test_the_docs_name_what_exists`",
        3,
    ),
    missing_modules: ("`python -m bench.nowhere`, `contexts.orders.nowhere`; `python -m bench.rpc`, `config.env`", 2),
    missing_targets: (
        '`make nowhere`, and\n```\nSERVERS=1 make run ARGS="a b" PORT=1 astray  # make sense\n```\nmake sure',
        2,
    ),
    missing_commands: (
        '`.venv/bin/python manage.py nowhere --all` after `manage.py audit`; `make manage ARGS="nowhere now"`',
        2,
    ),
    missing_settings: (
        "Set `ECI_NOWHERE`, ECI_CATALOG_NOWHERE, `ECI_<CONTEXT>_DATABASE_URL`, ECI_CATALOG_REPLICA_URL or"
        " `ECI_SECRET_KEY_FILE`",
        2,
    ),
    missing_names: (
        "`nowhere.at_all`\n## One order, followed\n`workflows.nowhere`, `nowhere()` and `Nowhere`;"
        " `inventory.reserve`, `orders.recover`, `order_confirmed`, `make run`.\n## Next\n`nowhere`",
        3,
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_docs_name_what_exists(check: Callable[[Page], Iterator[str]]) -> None:
    found = [f"{page.path.relative_to(ROOT)}: {missing}" for page in pages() for missing in check(page)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("check", "planted"), CHECKS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_does_not_exist_is_found(
    tmp_path: Path, check: Callable[[Page], Iterator[str]], planted: tuple[str, int]
) -> None:
    text, count = planted
    path = tmp_path / "planted.md"
    path.write_text(text)

    found = list(check(_page(path)))

    assert len(found) == count, found
    assert all(re.search("nowhere|astray", missing, re.IGNORECASE) for missing in found)


def test_the_patterns_find_what_the_docs_name() -> None:
    text = "\n".join(page.text for page in pages())
    code = "\n".join(code for page in pages() for code in page.code())
    for pattern, within, least in (
        (_PATH, code, 40),
        (_LINK, text, 40),
        (_MAKE, code, 20),
        (_MANAGE, code, 20),
        (_SETTING, text, 50),
    ):
        assert len(pattern.findall(within)) >= least, pattern.pattern
