"""New connections are spread evenly over the web processes.

All processes accept from one socket, and the kernel wakes them all: who comes first takes the connection. So one of
them may get every connection, while the others are idle. Therefore each tells the others how many it has, in memory
that they share, and leaves a new one to another that has fewer, if that takes it soon.
"""

from __future__ import annotations

import mmap

PATIENCE = 0.05  # seconds that a new connection may wait for another process
LOOK = 0.001  # seconds between two looks at what the others have meanwhile
IMPATIENCE = 1.0  # seconds without patience, after it was in vain: the other process hangs, or has too much to do
_SLOTS = 64  # more than there ever are processes


class Spread:
    """Made before processes are forked. ``process``: its number, as gunicorn counts them."""

    def __init__(self) -> None:
        self._told = memoryview(mmap.mmap(-1, 4 * _SLOTS)).cast("I")  # 0: no process; otherwise its connections and 1

    def tell(self, process: int, connections: int) -> None:
        self._told[process % _SLOTS] = connections + 1

    def leave(self, process: int) -> None:
        self._told[process % _SLOTS] = 0

    def has_more(self, process: int) -> bool:
        """Whether it has more connections than another."""
        own = self._told[process % _SLOTS]
        return any(0 < other < own for other in self._told)
