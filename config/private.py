"""Files for their owner alone: databases, mails, keys and backups hold people and secrets."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

UMASK = 0o077
_OTHERS = 0o077


def begin(folder: Path) -> None:
    """From now on what this process makes is for its owner alone; so is the data folder, if it is made here."""
    os.umask(UMASK)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def mend(*, folders: Iterable[Path], files: Iterable[Path]) -> None:
    """Take from others what was made before, or by another tool. What is not ours, or is everybody's, stays."""
    for path in (*files, *(path for folder in folders for path in _all_in(folder))):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and found.st_mode & _OTHERS and not stat.S_ISLNK(found.st_mode):
                path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def _all_in(folder: Path) -> Iterator[Path]:
    """The folder and what is in it; nothing of a folder like /tmp, where others have files too."""
    if not folder.is_dir() or folder.stat().st_mode & stat.S_ISVTX:
        return
    for place, _, names in os.walk(folder):
        yield from (Path(place), *(Path(place, name) for name in names))
