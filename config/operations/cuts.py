"""How a shop is cut into deployments on one machine, and the environment of each: ``manage.py services`` runs them.

All stand on one data folder and so on the databases of the same shop, each on those of its contexts.
"""

from __future__ import annotations

import fcntl
import json
import shlex
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from config.contexts import CONTEXTS, LOCAL
from eci.identity import keys

HOST = "127.0.0.1"
REST = "rest"

RECUT = signal.SIGUSR1  # tells manage.py services that another cut is wanted
_STATE, _WANTED, _LOCK = "state.json", "wanted", "shop.lock"


class NoSuchCut(ValueError):
    """What is wrong with it, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    name: str
    contexts: tuple[str, ...]

    def ports(self, offset: int) -> list[int]:
        """It answers on those of all its contexts."""
        hosted = [CONTEXTS[name] for name in self.contexts]
        return [port + offset for context in hosted for port in (context.port, context.demo_port)]


def cut(text: str) -> list[Deployment]:
    """``orders,inventory+payments``: a deployment for each part, one for the rest. Empty: one for each context.

    NoSuchCut.
    """
    parts = [[name] for name in CONTEXTS]
    if text.strip():
        parts = [[name.strip() for name in part.split("+")] for part in text.split(",")]
    named = [name for part in parts for name in part]
    for name in named:
        if name not in CONTEXTS:
            raise NoSuchCut(f"CUT={text}: there is no context '{name}'. There are {', '.join(CONTEXTS)}.")
        if named.count(name) > 1:
            raise NoSuchCut(f"CUT={text}: {name} is named twice.")
    made = [Deployment(name="-".join(part), contexts=tuple(part)) for part in parts]
    rest = tuple(name for name in CONTEXTS if name not in named)
    return [*made, Deployment(name=REST, contexts=rest)] if rest else made


def url(context: str, offset: int) -> str:
    return f"http://{HOST}:{CONTEXTS[context].port + offset}"


def environments(
    deployments: list[Deployment], folder: Path, *, offset: int, still: Iterable[str] = ()
) -> dict[str, dict[str, str]]:
    """By name: where the others are, its key, and the keys of those that may call it. Makes keys that are missing.

    ``still``: who may call although it is no part of this cut, because it has not ended yet.
    """
    folder = folder / "services"
    make_keys(list(dict.fromkeys([*(deployment.name for deployment in deployments), *still])), folder)
    callers, own = folder / "callers", folder / "keys"
    for left in folder.glob("*.env"):  # of another cut
        left.unlink()
    found = {
        deployment.name: {
            "ECI_SERVICES": ",".join(
                f"{name}={LOCAL if name in deployment.contexts else url(name, offset)}" for name in CONTEXTS
            ),
            "ECI_SERVICE_NAME": deployment.name,
            "ECI_SERVICE_KEY_FILE": str(own / f"{deployment.name}.pem"),
            "ECI_SERVICE_CALLERS_DIR": str(callers),
            "PORT": str(deployment.ports(offset)[0]),
        }
        for deployment in deployments
    }
    for name, environment in found.items():  # for a shell: make manage SERVICE=NAME
        lines = "".join(f"export {variable}={shlex.quote(value)}\n" for variable, value in environment.items())
        (folder / f"{name}.env").write_text(lines)
    return found


def make_keys(names: list[str], folder: Path) -> None:
    """``keys/<name>.pem`` for each, where it is missing, and ``callers/`` with the public halves of these alone."""
    callers, own = folder / "callers", folder / "keys"
    for each in (callers, own):
        each.mkdir(parents=True, exist_ok=True)
    for left in callers.glob("*.pem"):
        if left.stem not in names:
            left.unlink()
    for name in names:
        file = own / f"{name}.pem"
        if not file.exists():
            keys.write(own, file.name, keys.private_pem(keys.new()))
        keys.write(callers, file.name, keys.public_pem(keys.read_private(file.read_bytes()).public_key()))


@contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether no other ``manage.py up`` or ``services`` runs on this data folder, until this process ends.

    Two would have two beats, and the second services would take keys and addresses from the first. What this process
    starts does not hold the lock: it is gone with this process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            yield False
        else:
            yield True


def runs_already(folder: Path) -> str:
    """What is said where ``only_one`` says no."""
    another = "ECI_DATA_DIR=folder makes another shop."
    if State.read(folder / "services"):
        return f"Services run on {folder} already. manage.py recut gives them another cut; {another}"
    return f"The shop in {folder} runs already, by make run or make services. Stop it first; {another}"


@dataclass(frozen=True, kw_only=True)
class State:
    """Of ``manage.py services``. ``turn`` counts what was recorded; ``failed``: why the last recut had no effect."""

    pid: int
    turn: int
    cut: str
    failed: str

    def write(self, folder: Path) -> None:
        aside = folder / f"{_STATE}.new"
        aside.write_text(json.dumps(asdict(self)))
        aside.rename(folder / _STATE)

    @classmethod
    def read(cls, folder: Path) -> State | None:
        """None where no services run."""
        try:
            found = cls(**json.loads((folder / _STATE).read_text()))
        except OSError:
            return None
        return found if Path(f"/proc/{found.pid}").exists() else None

    @staticmethod
    def forget(folder: Path) -> None:
        (folder / _STATE).unlink(missing_ok=True)


def want(text: str, folder: Path) -> None:
    (folder / _WANTED).write_text(text)


def wanted(folder: Path) -> str:
    return (folder / _WANTED).read_text()
