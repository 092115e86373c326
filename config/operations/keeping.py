"""Keeps backups: makes one and puts it, as one file, into each place that is set; deletes old ones; fetches one again.

The name of the file has the moment that it saved, so the names sort by age.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import Error, connections

from config.operations import archives
from config.operations.backup import Made, Say, backup, record
from config.operations.places import Place, places
from config.operations.snapshots import Failed, full_or
from eci.clock import utcnow

NEWEST = "newest"
_MOMENT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"eci-(\d{8}T\d{6}Z)\.tar\.gz(?:\.age)?")
_WORK = ".backup-work-"  # begins the name of the folder in which a backup is made or unpacked
AGAIN = 600  # seconds until the next try, after one that failed


def problems() -> Iterator[str]:
    """What is wrong with the settings of backups, each in a sentence."""
    if settings.ECI_BACKUP_KEEP < 0:
        yield "ECI_BACKUP_KEEP must not be negative; 0 keeps every backup."
    if settings.ECI_BACKUP_HOURS <= 0:
        yield "ECI_BACKUP_HOURS must be above 0."
    if url := settings.ECI_BACKUP_S3_URL:
        if not re.fullmatch(r"s3://[^/?#]+(?:/[^?#]*)?", url):
            yield "ECI_BACKUP_S3_URL does not name a bucket, such as s3://bucket/folder."
        if not settings.ECI_BACKUP_RECIPIENTS:
            yield "Backups leave this place only encrypted: ECI_BACKUP_S3_URL needs ECI_BACKUP_RECIPIENTS."
        if bool(settings.ECI_BACKUP_S3_KEY_ID) != bool(settings.ECI_BACKUP_S3_SECRET):
            yield "Set ECI_BACKUP_S3_KEY_ID and ECI_BACKUP_S3_SECRET together, or neither."
    try:
        archives.recipients(settings.ECI_BACKUP_RECIPIENTS)
    except Failed as failure:
        yield f"ECI_BACKUP_RECIPIENTS: {failure}"
    try:
        if settings.ECI_BACKUP_IDENTITY:
            archives.identities(settings.ECI_BACKUP_IDENTITY)
    except Failed as failure:
        yield str(failure)


def _require_settings() -> None:
    if found := list(problems()):
        raise Failed(" ".join(found))


# -- keeping ----------------------------------------------------------------------------------------------------------


def keep(say: Say) -> None:
    """Make a backup and keep it. Failed.

    1. Save everything into a folder of its own, and make that one file, encrypted if there are recipients.
    2. Put it into each place. One that fails does not keep the others from having it.
    3. If every place has it, delete the oldest, so that ECI_BACKUP_KEEP are left, and record it for the metrics.
    """
    _require_settings()
    into = places()
    with _work() as work:
        made = backup(work / "backup", say)
        ending = "tar.gz.age" if settings.ECI_BACKUP_RECIPIENTS else "tar.gz"
        archive = work / f"eci-{made.at.strftime(_MOMENT)}.{ending}"
        archives.pack(work / "backup", archive, settings.ECI_BACKUP_RECIPIENTS)
        _put(archive, into, say)
    _prune(say)
    record(made, say)


def _put(archive: Path, into: list[Place], say: Say) -> None:
    failures = []
    for place in into:
        try:
            place.put(archive)
            say(f"Kept in {place}: {archive.name}, {archive.stat().st_size / 1024:,.0f} KiB")
        except Failed as failure:
            failures.append(str(failure))
    if failures:
        raise Failed(" ".join(failures))


def _get(place: Place, name: str, target: Path) -> None:
    try:
        place.get(name, target)
    except OSError as error:  # of the target: a place reports its own as Failed
        raise Failed(full_or(error, target.parent)) from error


def _prune(say: Say) -> None:
    if not settings.ECI_BACKUP_KEEP:
        return
    for place in places():
        for name in _kept(place)[settings.ECI_BACKUP_KEEP :]:
            place.delete(name)
            say(f"Deleted from {place}: {name}")


@contextmanager
def _work() -> Iterator[Path]:
    """A folder to make or unpack a backup in, which one process does at a time. Failed."""
    beside = settings.ECI_BACKUP_DIR or settings.DATA_DIR
    before = os.umask(0o077)
    lock = None
    try:
        try:
            beside.mkdir(parents=True, exist_ok=True)
            lock = (beside / ".backup.lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in beside.glob(f"{_WORK}*"):  # by a process that was killed: what it holds is not encrypted
                shutil.rmtree(left, ignore_errors=True)
            work = tempfile.TemporaryDirectory(prefix=_WORK, dir=beside, ignore_cleanup_errors=True)
        except BlockingIOError:
            raise Failed(f"Another backup or restore is under way in {beside}.") from None
        except OSError as error:
            raise Failed(f"Backups cannot be made or unpacked: {full_or(error, beside)}") from error
        with work as folder:
            yield Path(folder)
    finally:
        os.umask(before)
        if lock:
            lock.close()


def keep_regularly(say: Say) -> None:
    """Keep a backup whenever one is due, until this process is stopped."""
    _require_settings()
    while True:
        try:
            wait = keep_if_due(say)
        except (Failed, Error) as failure:
            say(f"No backup was kept: {failure} The next try is in {AGAIN // 60} minutes.")
            wait = AGAIN
        connections.close_all()
        time.sleep(wait)


def keep_if_due(say: Say) -> float:
    """Seconds until the next is due. A place that could not take the newest gets it now: another backup each time
    would soon have pushed out those of the days before. Failed."""
    newest = max((name for place in places() for name in _kept(place)[:1]), default=None)
    age = (utcnow() - moment(newest)).total_seconds() if newest else None
    if newest is None or age is None or age >= settings.ECI_BACKUP_HOURS * 3600:
        keep(say)
        return settings.ECI_BACKUP_HOURS * 3600
    if lacking := [place for place in places() if newest not in _kept(place)]:
        source = next(place for place in places() if newest in _kept(place))
        with _work() as work:
            _get(source, newest, work / newest)
            _put(work / newest, lacking, say)
        _prune(say)
        record(Made(at=moment(newest), seconds=0), say)
    return settings.ECI_BACKUP_HOURS * 3600 - age


# -- finding and fetching ---------------------------------------------------------------------------------------------


def moment(name: str) -> datetime:
    """The moment that a kept backup saved."""
    found = _NAME.fullmatch(name)
    assert found is not None
    return datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC)


def _kept(place: Place) -> list[str]:
    """The backups there, newest first."""
    return sorted(filter(_NAME.fullmatch, place.names()), reverse=True)


def kept() -> Iterator[tuple[str, Place]]:
    """Every backup in every place that can be asked, newest first. Failed when there is none."""
    _require_settings()
    found: list[tuple[str, Place]] = []
    failures = []
    for place in places():
        try:
            found += [(name, place) for name in _kept(place)]
        except Failed as failure:
            failures.append(str(failure))
    if not found:
        raise Failed(" ".join(failures) or f"There is no backup in {', '.join(map(str, places()))}.")
    yield from sorted(found, key=lambda each: each[0], reverse=True)


@contextmanager
def fetched(wanted: str, say: Say) -> Iterator[Path]:
    """The folder of a kept backup, unpacked; ``wanted`` is its name, or ``newest``. Failed."""
    began = time.monotonic()
    name, place = next((each for each in kept() if wanted in (NEWEST, each[0])), (None, None))
    if name is None or place is None:
        raise Failed(f"There is no backup {wanted}: `manage.py backup --list` names them.")
    with _work() as work:
        folder = work / "backup"
        folder.mkdir()
        _get(place, name, work / name)
        archives.unpack(work / name, folder, settings.ECI_BACKUP_IDENTITY)
        age = (utcnow() - moment(name)).total_seconds() / 3600
        say(f"{name}, {age:.1f} h old, fetched from {place} in {time.monotonic() - began:.1f} s.")
        yield folder
