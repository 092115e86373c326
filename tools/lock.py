"""The lock files: every package that is installed, what it needs too, with the hashes of all its files on the index.

    python tools/lock.py             make them from requirements*.txt; what is locked keeps its version
    python tools/lock.py --upgrade   the same, with the newest versions of what no requirement pins
    python tools/lock.py --check     offline: do they cover the requirements and what is installed here?
    python tools/lock.py --ask       does the index know every hash? Without an index it says so, and is no failure

Each requirements<name>.txt has its requirements<name>.lock, which pip installs with --require-hashes (tools/setup.sh,
docker/Dockerfile).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
OF_PYTHON = {"pip", "setuptools"}  # that a new environment may have by itself
NOTE = "# Made by `make lock` from {}. Edit that instead.\n"


class Locked(NamedTuple):
    version: str
    hashes: frozenset[str]


def requirement_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("requirements*.txt"))


def requirements_of(file: Path) -> list[Requirement]:
    """The file's own, and those of the files it takes in."""
    found = []
    for line in file.read_text().splitlines():
        text = re.split(r"(?:^|\s)#", line)[0].strip()
        if text.startswith("-r "):
            found += requirements_of(file.parent / text.removeprefix("-r ").strip())
        elif text:
            found.append(Requirement(text))
    return found


def read(lock: Path) -> dict[str, Locked]:
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", lock.read_text(), flags=re.MULTILINE))
    found = {}
    for line in filter(None, text.splitlines()):
        pinned = re.match(r"([\w.-]+)(?:\[[\w,.-]*\])?==([^\s;]+)", line)
        if pinned is None:
            raise ValueError(f"{lock.name}: no version is pinned: {line[:60]}")
        found[canonicalize_name(pinned[1])] = Locked(
            pinned[2], frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line))
        )
    return found


# -- offline ----------------------------------------------------------------------------------------------------------


def problems(folder: Path = ROOT) -> Iterator[str]:
    """What the lock files lack."""
    everything: dict[str, Locked] = {}
    for file in requirement_files(folder):
        lock = file.with_suffix(".lock")
        if not lock.exists():
            yield f"{lock.name} is missing"
            continue
        locked = read(lock)
        yield from _uncovered(file, lock, locked)
        for name, one in locked.items():
            if not one.hashes:
                yield f"{lock.name}: {name} has no hash"
            if everything.setdefault(name, one) != one:
                yield f"{lock.name}: {name} {one.version} is locked otherwise in another file"
    for installed in distributions():
        name = canonicalize_name(installed.name)
        if name not in OF_PYTHON and (name not in everything or everything[name].version != installed.version):
            yield f"{name} {installed.version} is installed, and not locked"


def _uncovered(file: Path, lock: Path, locked: dict[str, Locked]) -> Iterator[str]:
    """Requirements that are not locked, and what they need in turn, as far as it is installed here."""
    waiting = [(requirement, file.name) for requirement in requirements_of(file)]
    seen = set()
    while waiting:
        requirement, wanted_by = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in locked:
            yield f"{lock.name}: {name} is missing, which {wanted_by} needs"
        elif not requirement.specifier.contains(locked[name].version, prereleases=True):
            yield f"{lock.name}: {name} {locked[name].version} is not {requirement.specifier}, as {wanted_by} needs"
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(needed, name) for needed in _needs(name, extra)]


def _needs(name: str, extra: str) -> list[Requirement]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": extra})]


# -- with the index ---------------------------------------------------------------------------------------------------


def make(folder: Path, *, upgrade: bool = False) -> None:
    """All files are locked together first, so that none has another version of a package than the others have."""
    files = requirement_files(folder)
    known = "".join(file.with_suffix(".lock").read_text() for file in files if file.with_suffix(".lock").exists())
    with tempfile.TemporaryDirectory() as scratch:
        together = Path(scratch) / "all.lock"
        together.write_text("" if upgrade else known)
        _compile(together, *files)
        for file in files:
            own = Path(scratch) / file.with_suffix(".lock").name
            _compile(own, file, "--constraint", together)
            file.with_suffix(".lock").write_text(NOTE.format(file.name) + own.read_text())


def _compile(output: Path, *arguments: Path | str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--output-file", str(output)]
    subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def unknown_hashes(folder: Path = ROOT) -> Iterator[str]:
    """Locked hashes that the index does not know. CalledProcessError where it cannot be asked."""
    with tempfile.TemporaryDirectory() as scratch:
        for file in requirement_files(folder):
            locked = read(file.with_suffix(".lock"))
            pins, fresh = Path(scratch) / "pins.txt", Path(scratch) / file.with_suffix(".lock").name
            pins.write_text("".join(f"{name}=={one.version}\n" for name, one in locked.items()))
            _compile(fresh, file, "--constraint", pins)
            now = read(fresh)
            for name, one in locked.items():
                if strange := one.hashes - now[name].hashes if name in now else one.hashes:
                    yield f"{file.with_suffix('.lock').name}: the index does not know {len(strange)} hashes of {name}"


def main(arguments: list[str]) -> int:
    if "--check" not in arguments and "--ask" not in arguments:
        make(ROOT, upgrade="--upgrade" in arguments)
        return 0
    try:
        found = list(problems() if "--check" in arguments else unknown_hashes())
    except subprocess.CalledProcessError:
        print("!!! NOT ASKED whether the index knows the locked hashes: it did not answer.")
        return 0
    for problem in found:
        print(problem)
    if found:
        print("`make lock` makes the lock files anew.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
