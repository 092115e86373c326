"""What a command prints does not decide what it does: a reader who leaves, or a full disk, cuts no restore off."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

_failures: list[OSError] = []


class _Output(io.FileIO):
    """Takes what cannot be written, too."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except OSError as error:
            _failures.append(error)
            return len(content)


def begin() -> None:
    """From now on printing never fails. Output that was closed goes nowhere, not into a file opened since."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    for name, number in (("stdout", 1), ("stderr", 2)):
        given = getattr(sys, name) or io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        raw = io.BufferedWriter(_Output(number, "wb", closefd=False))
        setattr(sys, name, io.TextIOWrapper(raw, given.encoding, "backslashreplace", line_buffering=True))


def end() -> None:
    """SystemExit, once all is done, if something could not be written. That nobody reads on is no error."""
    sys.stdout.flush()
    lost = next((error for error in _failures if error.errno != errno.EPIPE), None)
    if lost:
        sys.exit(f"The command has done its work, but what it printed could not be written: {lost.strerror}.")
