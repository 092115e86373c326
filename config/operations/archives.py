"""A backup's folder as one file, and back: a compressed tar, encrypted with age if there are recipients.

Whoever makes backups needs only the recipients' public keys; whoever restores one needs an identity, the private key.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.operations.snapshots import Failed, full_or


def recipients(keys: Sequence[str]) -> list[Any]:
    """The public keys, read. Failed, which shows none: somebody may have taken a private key for one."""
    import pyrage

    found = []
    for number, key in enumerate(keys, 1):
        if "AGE-SECRET-KEY" in key.upper():
            raise Failed(
                f"key {number} is a private key of age. Set the public one, age1…, which is a comment in the "
                "private key's file. If others could read the private key here, make another pair."
            )
        try:
            found.append(pyrage.x25519.Recipient.from_str(key))
        except pyrage.RecipientError as error:
            raise Failed(f"key {number} is not a public key of age, such as age1qqs…") from error
    return found


def identities(text: str) -> list[Any]:
    """The private keys, read; the file of age-keygen has comments above its key. Failed, which shows none."""
    import pyrage

    lines = [line.strip() for line in text.splitlines()]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise Failed("ECI_BACKUP_IDENTITY is not a private key of age, AGE-SECRET-KEY-1…")
    return found


def new_identity() -> tuple[str, str]:
    """A new private key, and its public key."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def pack(folder: Path, target: Path, keys: Sequence[str]) -> None:
    """Write the folder's files into ``target``, encrypted to ``keys`` if there are any. Failed."""
    plain = target.with_suffix(".plain") if keys else target
    try:
        with tarfile.open(plain, "w:gz", compresslevel=3) as archive:
            for file in sorted(folder.iterdir()):
                archive.add(file, arcname=file.name)
        if keys:
            import pyrage

            with plain.open("rb") as content, target.open("wb") as written:
                pyrage.encrypt_io(content, written, recipients(keys))
            plain.unlink()
    except OSError as error:
        raise Failed(full_or(error, target.parent)) from error


def unpack(file: Path, folder: Path, identity: str) -> None:
    """Write an archive's files into the folder; ``identity`` is needed if it is encrypted. Failed."""
    plain = _decrypted(file, folder.with_suffix(".plain"), identity) if file.suffix == ".age" else file
    try:
        with tarfile.open(plain, "r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None or Path(member.name).name != member.name:
                    raise Failed(f"{file.name} is no backup: it has {member.name}, which is not a file of one.")
                with (folder / member.name).open("wb") as written:
                    shutil.copyfileobj(content, written)
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise Failed(f"{file.name} cannot be unpacked: {_reason(error, folder)}") from error
    if plain != file:
        plain.unlink()


def _decrypted(file: Path, target: Path, identity: str) -> Path:
    import pyrage

    if not identity:
        raise Failed(f"{file.name} is encrypted: set ECI_BACKUP_IDENTITY to the private key of one of its recipients.")
    try:
        keys = identities(identity)
        with file.open("rb") as content, target.open("wb") as written:
            pyrage.decrypt_io(content, written, keys)
    except (pyrage.DecryptError, OSError) as error:
        raise Failed(f"{file.name} cannot be decrypted: {_reason(error, target.parent)}") from error
    return target


def _reason(error: Exception, folder: Path) -> str:
    return full_or(error, folder) if isinstance(error, OSError) and error.errno else str(error)
