"""An S3 server of this machine, in a process of its own, which checks signatures as any other does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.product import free_port, wait_until

NAME, KEY_ID, SECRET = "backups", "test-key-id", "test-secret-of-the-bucket"


@contextmanager
def bucket(folder: Path) -> Iterator[dict[str, str]]:
    """The settings that name its bucket, whose objects are files in ``folder``."""
    (folder / NAME).mkdir(parents=True)
    port = free_port()
    command = [Path(sys.executable).parent / "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{KEY_ID},{SECRET}", folder]
    with subprocess.Popen(
        command, env=os.environ | {"RCLONE_CONFIG": "/dev/null"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_until(lambda: _answers(port), 60, "the bucket is there")
            yield {
                "ECI_BACKUP_S3_URL": f"s3://{NAME}/shop",
                "ECI_BACKUP_S3_ENDPOINT": f"http://127.0.0.1:{port}",
                "ECI_BACKUP_S3_KEY_ID": KEY_ID,
                "ECI_BACKUP_S3_SECRET": SECRET,
            }
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
