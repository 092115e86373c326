"""The product's modules, each parsed once, as the tests of this folder read them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eci", "config", "contexts")


@dataclass(frozen=True)
class Source:
    """One module: ``path`` as in ``contexts/orders/http/views.py``."""

    path: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """As it is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def context(self) -> str:
        """The context it belongs to, or nothing."""
        room, _, rest = self.path.partition("/")
        return rest.split("/")[0] if room == "contexts" and "/" in rest else ""

    @property
    def place(self) -> str:
        """Its path inside its context, or nothing."""
        return self.path.removeprefix(f"contexts/{self.context}/") if self.context else ""

    def classes(self) -> Iterator[ast.ClassDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def derived(self, *roots: str) -> Iterator[ast.ClassDef]:
        """The classes that derive from one whose name ends so, also through another class of this module."""
        known: set[str] = set()
        for node in self.classes():
            if any(base in known or base.endswith(roots) for base in map(last_name, node.bases)):
                known.add(node.name)
                yield node


def source(path: str, text: str) -> Source:
    return Source(path=path, tree=ast.parse(text))


@functools.cache
def product() -> tuple[Source, ...]:
    """Every module of the product but migrations and empty files."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            if text.strip() and "migrations" not in path.parts:
                found.append(source(str(path.relative_to(ROOT)), text))
    return tuple(found)


def last_name(node: ast.expr) -> str:
    """``View`` of ``views.View[Any]``."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
