"""Where backups are kept: a folder, and a bucket of S3-compatible storage. Both know files by name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings

from config.operations.snapshots import Failed, full_or

if TYPE_CHECKING:
    from obstore.store import S3Store


class Place(Protocol):
    def __str__(self) -> str: ...

    def names(self) -> list[str]: ...

    def put(self, file: Path) -> None: ...

    def get(self, name: str, target: Path) -> None: ...

    def delete(self, name: str) -> None: ...


def places() -> list[Place]:
    """Those that are set; the nearer first. Failed."""
    found: list[Place] = []
    if settings.ECI_BACKUP_DIR:
        found.append(Folder(settings.ECI_BACKUP_DIR))
    if settings.ECI_BACKUP_S3_URL:
        found.append(Bucket(settings.ECI_BACKUP_S3_URL))
    if not found:
        raise Failed("No place for backups is set: ECI_BACKUP_DIR, a folder, or ECI_BACKUP_S3_URL, a bucket.")
    return found


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Failed(full_or(error, self.path)) from error

    def names(self) -> list[str]:
        with self._failing():
            return [file.name for file in self.path.iterdir()] if self.path.exists() else []

    def put(self, file: Path) -> None:
        """Complete on the disk before it has its name."""
        with self._failing():
            aside = self.path / f".{file.name}"
            try:
                shutil.copyfile(file, aside)
                with aside.open("rb") as written:
                    os.fsync(written.fileno())
                aside.rename(self.path / file.name)
            finally:
                aside.unlink(missing_ok=True)

    def get(self, name: str, target: Path) -> None:
        with self._failing():
            content = (self.path / name).open("rb")
        with content, target.open("wb") as written:
            shutil.copyfileobj(content, written)

    def delete(self, name: str) -> None:
        with self._failing():
            (self.path / name).unlink()


class Bucket:
    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    @contextmanager
    def _store(self) -> Iterator[S3Store]:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        parts = urlsplit(self.url)
        more: dict[str, Any] = {}
        if endpoint := settings.ECI_BACKUP_S3_ENDPOINT:
            more = {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http://")}}
        if settings.ECI_BACKUP_S3_KEY_ID:
            more |= {
                "access_key_id": settings.ECI_BACKUP_S3_KEY_ID,
                "secret_access_key": settings.ECI_BACKUP_S3_SECRET,
            }
        try:
            yield S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                region=settings.ECI_BACKUP_S3_REGION,
                retry_config={"max_retries": 5, "retry_timeout": timedelta(minutes=1)},
                **more,
            )
        except (BaseError, OSError) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):  # of this machine's disk
                raise
            raise Failed(f"{self}: {str(error).partition('Debug source')[0].strip()[:500]}") from error

    def names(self) -> list[str]:
        import obstore

        with self._store() as store:
            return [str(each["path"]) for each in obstore.list(store).collect()]

    def put(self, file: Path) -> None:
        import obstore

        with self._store() as store:
            obstore.put(store, file.name, file)

    def get(self, name: str, target: Path) -> None:
        import obstore

        with self._store() as store, target.open("wb") as written:
            for chunk in obstore.get(store, name).stream():
                written.write(chunk)

    def delete(self, name: str) -> None:
        import obstore

        with self._store() as store:
            obstore.delete(store, name)
