"""Start-up checks of what operations needs: settings of backups, and folders that may be written to."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from config.operations import keeping
from eci.checks import OWN


@register(*OWN)
def backup_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [Error(problem, id="eci.E021") for problem in keeping.problems()]


@register(*OWN)
def backup_folder(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Tries what a backup does first, in the folder or in what is there of its path, and leaves nothing."""
    folder = settings.ECI_BACKUP_DIR
    if folder is None:
        return []
    try:
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        with tempfile.TemporaryDirectory(prefix=".backup-check-", dir=there):
            return []
    except OSError as error:
        words = f"ECI_BACKUP_DIR: no backup can be kept in {folder}: {there}: {error.strerror}."
        return [Error(words, hint=f"Name a folder that user {os.geteuid()} may make or write to.", id="eci.E026")]


@register(*OWN)
def backups_are_not_encrypted(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An identity tells that they were meant to be."""
    keeps = settings.ECI_BACKUP_DIR or settings.ECI_BACKUP_S3_URL
    meant = settings.ECI_BACKUP_IDENTITY and "ECI_BACKUP_RECIPIENTS" in os.environ
    if settings.ECI_BACKUP_RECIPIENTS or not (keeps and meant):
        return []
    return [
        Warning(
            "ECI_BACKUP_RECIPIENTS is empty beside an ECI_BACKUP_IDENTITY: backups are kept without encryption.",
            hint="Set it to the public key that stands as a comment in the identity's file.",
            id="eci.W023",
        )
    ]


@register(*OWN)
def sandbox_ledger(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A folder of somebody else's would let the shop start, and refuse every payment."""
    folder = settings.ECI_SANDBOX_LEDGER.parent
    if settings.ECI_GATEWAY != "sandbox" or not folder.exists() or os.access(folder, os.W_OK | os.X_OK):
        return []
    if os.statvfs(folder).f_flag & os.ST_RDONLY:  # the image's own: this process takes no payments
        return []
    return [
        Error(
            f"ECI_SANDBOX_LEDGER: user {os.geteuid()} may not write to {folder}, so nobody could pay.",
            hint="Make that user the folder's owner.",
            id="eci.E022",
        )
    ]
