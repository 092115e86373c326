"""Files of imports, kept in the database in pieces: every process of the context reads them, backups have them."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.db.models.functions import Now

from eci.db import unit_of_work
from eci.imports.errors import BadFile
from eci.imports.rows import imports_of, pieces_of

LIMIT = 100 * 1024 * 1024  # bytes of a file
ROOM = 64 * 1024  # bytes of a form beside its file
PIECE = 512 * 1024
ORPHANED = timedelta(days=1)  # after which the pieces of a file that no import has are deleted


@dataclass(frozen=True, kw_only=True)
class Upload:
    file: uuid.UUID
    name: str
    size: int
    digest: str


def digest(file: IO[bytes]) -> str:
    """The file's SHA-256, in hexadecimal digits."""
    found = hashlib.sha256()
    for piece in _pieces(file):
        found.update(piece)
    return found.hexdigest()


def keep(context: str, file: IO[bytes], *, name: str) -> Upload:
    """Store the file. Each piece is a transaction of its own: a long one would let everybody else wait."""
    made, size, found = uuid.uuid4(), 0, hashlib.sha256()
    for number, content in enumerate(_pieces(file)):
        with unit_of_work(context):
            pieces_of(context).create(file=made, number=number, content=content)
        size += len(content)
        found.update(content)
    return Upload(file=made, name=name, size=size, digest=found.hexdigest())


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    yield file.read(PIECE)  # of an empty file, too
    while piece := file.read(PIECE):
        yield piece


def fetch(context: str, file: uuid.UUID) -> IO[bytes]:
    """The stored file, on disk while it is open. BadFile for one that was deleted."""
    found = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the caller closes it
    numbers = pieces_of(context).filter(file=file).order_by("number").values_list("number", flat=True)
    if not numbers:
        found.close()
        raise BadFile("The file is kept no longer. Send it again.")
    for number in numbers:
        found.write(pieces_of(context).values_list("content", flat=True).get(file=file, number=number))
    found.seek(0)
    return found


def drop(context: str, file: uuid.UUID) -> None:
    pieces_of(context).filter(file=file).delete()


def prune(context: str) -> None:
    """Delete pieces that no import has: their upload was cut off."""
    old = pieces_of(context).filter(created_at__lt=Now() - ORPHANED)
    for file in set(old.values_list("file", flat=True).distinct()):
        if not imports_of(context).filter(file=file).exists():
            drop(context, file)
