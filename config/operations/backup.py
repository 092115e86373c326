"""Saves all databases of the product as of one moment, and restores them.

No transaction spans the databases. So the writers of all databases are held until each has a snapshot open. The backup
has every write that was committed before, and no write that came after, in any database.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from config import unfinished
from config.environment import secret
from config.operations.models import Backup
from config.operations.snapshots import Busy, Failed, Store, full_or, store, told, version
from eci.clock import iso, utcnow
from eci.db import primaries

FORMAT = 1
MANIFEST, SECRET_KEY = "manifest.json", "secret_key"
PATIENCE = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds for each attempt at holding the writers
Say = Callable[[str], Any]


@dataclass(frozen=True, kw_only=True)
class Saved:
    """One database in the manifest. ``aliases``: the contexts that share it."""

    aliases: list[str]
    engine: str
    server: str
    file: str
    bytes: int
    sha256: str
    migrations: list[str]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A complete backup: the moment that it saved, and how long it took."""

    at: datetime
    seconds: float


def distinct_databases() -> list[list[str]]:
    """Aliases, those of one physical database together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for alias in primaries():
        config = connections[alias].settings_dict
        place = tuple(str(config[name]) for name in ("ENGINE", "HOST", "PORT", "NAME"))
        groups.setdefault(place, []).append(alias)
    return list(groups.values())


# -- backup -----------------------------------------------------------------------------------------------------------


def backup(folder: Path, say: Say) -> Made:
    """Save everything into a new or empty folder while the product runs. Failed.

    1. Connect to every database.
    2. Hold the writers of all, open a snapshot in each, let the writers go on.
    3. Save each snapshot to its file, and the secret keys.
    4. Write the manifest, which makes the folder a backup.
    """
    if problem := unfinished.anywhere(settings.DATA_DIR):
        raise Failed(f"There is nothing whole to save. {problem}")
    is_new = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Failed(f"{folder} is not empty: a backup gets a folder of its own.")
        folder.chmod(0o700)  # it holds people's addresses and the secret keys
    except OSError as error:
        raise Failed(full_or(error, folder)) from error
    try:
        return _backup(folder, say)
    except BaseException as error:
        for left in folder.iterdir():  # an unfinished backup is none, and it is not encrypted
            left.unlink()
        if is_new:
            folder.rmdir()
        if isinstance(error, OSError):
            raise Failed(full_or(error, folder.parent)) from error
        raise


def _backup(folder: Path, say: Say) -> Made:
    began = time.monotonic()
    groups = distinct_databases()
    with ExitStack() as stack:
        stores = []
        for aliases in groups:
            one = store(aliases[0], folder)
            stack.callback(one.close)
            if not one.tables:
                raise Failed(
                    f"The {aliases[0]} database has no tables: nothing to save. Run `manage.py prepare` first."
                )
            one.connect()
            stores.append(one)
        paused = _open_all(stores)
        moment = utcnow()
        at = iso(moment)
        say(f"Snapshots of {len(stores)} databases opened together at {at}; writers waited {paused * 1000:.0f} ms.")
        for one in stores:
            one.save()
    saved = [_described(one, aliases) for one, aliases in zip(stores, groups, strict=True)]
    for row in saved:
        say(f"  {row.file:24} {row.bytes / 1024:10,.0f} KiB   {row.engine}: {', '.join(row.aliases)}")
    secrets = _secrets()
    for name, content in secrets.items():
        (folder / name).write_bytes(content)
    manifest = {
        "format": FORMAT,
        "at": at,
        "paused_ms": round(paused * 1000, 1),
        "python": platform.python_version(),
        "django": django.get_version(),
        "databases": [asdict(row) for row in saved],
        "secrets": {name: hashlib.sha256(content).hexdigest() for name, content in secrets.items()},
    }
    aside = folder / f"{MANIFEST}.new"
    aside.write_text(json.dumps(manifest, indent=2))
    aside.rename(folder / MANIFEST)  # last: a folder without a manifest is no backup
    for file in folder.iterdir():
        file.chmod(0o600)
    if elsewhere := [name for name, place in settings.ECI_SERVICES.items() if place != "local"]:
        say(f"  NOT in it, because they run elsewhere: {', '.join(elsewhere)}. Back them up there at the same time.")
    seconds = time.monotonic() - began
    say(f"Saved and complete after {seconds:.1f} s.")
    return Made(at=moment, seconds=seconds)


def record(made: Made, say: Say) -> None:
    """For the metrics, once the backup is where it should be."""
    try:
        Backup.objects.create(at=made.at, seconds=made.seconds)
    except DatabaseError as error:  # perhaps its table is not migrated yet; the backup is good all the same
        say(f"The backup could not be recorded for the metrics: {error}")


def _secrets() -> dict[str, bytes]:
    """The keys that sign sessions and access tokens, which are in no database: file name -> content."""
    keys = {path.name: path.read_bytes() for path in sorted(Path(settings.ECI_KEYS_DIR).glob("*.pem"))}
    return {SECRET_KEY: settings.SECRET_KEY.encode()} | keys


def _open_all(stores: list[Store]) -> float:
    """Open all snapshots while all writers are held. Returns for how many seconds they were held. Failed.

    A writer may hold what we wait for, and wait for what we hold. So each attempt is short: then all writers go on, and
    the next attempt has more patience.
    """
    for patience in PATIENCE:
        began = time.monotonic()
        try:
            for one in stores:
                one.pause(patience)
            for one in stores:
                one.open()
            for one in stores:
                one.opened()
            return time.monotonic() - began
        except Busy as busy:
            reason = busy
        finally:
            for one in stores:
                one.resume()
        time.sleep(0.05)
    raise Failed(f"The writers could not be held: {reason}. Nothing was saved. Try again when there is less traffic.")


def _described(one: Store, aliases: list[str]) -> Saved:
    connection = connections[one.alias]
    applied = MigrationRecorder(connection).applied_migrations()
    return Saved(
        aliases=aliases,
        engine=connection.vendor,
        server=version(connection),
        file=one.file.name,
        bytes=one.file.stat().st_size,
        sha256=_sha256(one.file),
        migrations=sorted(f"{app}.{name}" for app, name in applied),
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


# -- restore ----------------------------------------------------------------------------------------------------------


def restore(folder: Path, *, name: str, force: bool, say: Say) -> None:
    """Restore everything while the product is stopped; ``force`` replaces existing data. Failed.

    1. Check that the files are undamaged and fit this version and these databases.
    2. Check that the databases are empty, or ``force`` is given, and that nobody is connected to them.
    3. Copy what is copied (SQLite) beside what it replaces: the disk may turn out to be too small.
    4. Leave the mark that this has begun, restore each database, then the secret keys, and take the mark away. While
       it is there the product does not start, and says that ``name``, the backup, must be restored again.

    Nothing is changed before the mark is left.
    """
    began = time.monotonic()
    manifest = _manifest(folder)
    saved = [Saved(**row) for row in manifest["databases"]]
    problems = [*_damage(folder, {row.file: row.sha256 for row in saved} | manifest["secrets"]), *_misfits(saved)]
    if problems:
        raise Failed("Nothing was changed. " + " ".join(problems))
    with ExitStack() as stack:
        stores = [store(row.aliases[0], folder) for row in saved]
        for one in stores:
            stack.callback(one.close)
            stack.callback(one.discard)
        occupied = [one.alias for one in stores if one.tables]
        if occupied and not force:
            raise Failed(
                f"Nothing was changed. These databases are not empty: {', '.join(occupied)}. --force replaces them."
            )
        in_use = [one.alias for one in stores if one.in_use()]
        if in_use:
            raise Failed(
                f"Nothing was changed. Databases in use: {', '.join(in_use)}. Stop web, worker and beat first."
            )
        try:
            for one in stores:
                one.prepare()
            unfinished.mark(settings.DATA_DIR, name)
        except (Failed, OSError, DatabaseError) as failure:
            raise Failed(f"Nothing was changed. {_reason(failure)}") from failure
        try:
            for one in stores:
                one.restore()
                say(f"  {one.alias} restored from {one.file.name}")
            for file in manifest["secrets"]:
                _restore_secret(folder / file, say)
        except (Failed, OSError, DatabaseError) as failure:
            raise Failed(
                f"{_reason(failure)} The databases are not whole now, and nothing starts on them "
                f"before this has succeeded: manage.py restore {shlex.quote(name)} --force"
            ) from failure
    unfinished.remove(settings.DATA_DIR)
    say(f"Restored to {manifest['at']} in {time.monotonic() - began:.1f} s.")


def _reason(failure: Exception) -> str:
    return full_or(failure, settings.DATA_DIR) if isinstance(failure, OSError) else told(failure)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise Failed(f"{folder} is no finished backup: {error}") from error
    if manifest.get("format") != FORMAT:
        raise Failed(f"This backup has format {manifest.get('format')}; this version reads format {FORMAT}.")
    return manifest


def _damage(folder: Path, files: dict[str, str]) -> Iterator[str]:
    for name, digest in files.items():
        if not (folder / name).exists():
            yield f"{name} is missing."
        elif _sha256(folder / name) != digest:
            yield f"{name} does not match the manifest: it was changed or cut short."


def _misfits(saved: list[Saved]) -> Iterator[str]:
    """Reasons why the backup does not fit the databases that are configured here, or this version."""
    if [row.aliases for row in saved] != distinct_databases():
        yield "The backup has the contexts in other databases than ECI_<CONTEXT>_DATABASE_URL names here."
        return
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations or {}}
    for row in saved:
        engine = connections[row.aliases[0]].vendor
        if engine != row.engine:
            yield f"{row.file} comes from {row.engine}; {row.aliases[0]} is {engine} here."
        unknown = sorted(set(row.migrations) - known)
        if unknown:
            yield f"{row.file} comes from a newer version of the product: it has {', '.join(unknown)}."


def _restore_secret(saved: Path, say: Say) -> None:
    """Write it to its file. A secret key that comes from the environment has no file: say what to do instead."""
    if saved.name == SECRET_KEY:
        if saved.read_text() == settings.SECRET_KEY:
            return
        place = Path(settings.DATA_DIR) / SECRET_KEY
        if secret("ECI_SECRET_KEY"):
            say("  ECI_SECRET_KEY differs from the backup's secret_key: set it to that, or staff must sign in again.")
            return
    else:
        place = Path(settings.ECI_KEYS_DIR) / saved.name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = place.with_name(f"{place.name}.restored")
    try:
        aside.touch(mode=0o600)
        aside.write_bytes(saved.read_bytes())
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
    say(f"  {place.name} restored")
