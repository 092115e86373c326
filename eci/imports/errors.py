"""Why a file cannot be imported."""

from __future__ import annotations


class BadFile(Exception):
    """The file as a whole cannot be read. Its text is one sentence for people."""
