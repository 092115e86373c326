"""docs/from-the-documentation.md: what each of its rows asks to be typed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.world import ROOT

PAGE = ROOT / "docs" / "from-the-documentation.md"
SAME, NOTHING = "the same", "nothing: "
# Any of the services stands for these.
PLACEHOLDERS = {
    "[service-name]": "inventoryservice",
    "<service-name>": "inventoryservice",
    "<pod-name>": "inventory-service-0",
    "<pid>": "1",
}
CODE = re.compile(r"(`+)(.+?)\1")


@dataclass(frozen=True)
class Row:
    documented: str
    here: str

    @property
    def commands(self) -> list[str]:
        """What is to be typed here."""
        if self.here.startswith(SAME):
            return [self.documented]
        return [] if self.here.startswith(NOTHING) else [code for _, code in CODE.findall(self.here)][:1]


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            documented, here = re.split(r"(?<!\\) \| ", line.strip("| "), maxsplit=1)
            code = CODE.fullmatch(documented)
            assert code, line
            yield Row(code[2].replace("\\|", "|"), here.replace("\\|", "|"))


def commands() -> list[str]:
    found = dict.fromkeys(command for row in rows() for command in row.commands)
    for placeholder, value in PLACEHOLDERS.items():
        found = {command.replace(placeholder, value): None for command in found}
    return list(found)


def of(*programs: str) -> list[str]:
    return [command for command in commands() if command.startswith(programs)]
