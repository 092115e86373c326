"""A progress bar on stderr: one moving line on a terminal; elsewhere, a line for what begins it and for each tenth."""

from __future__ import annotations

import sys
import threading
import time


class Progress:
    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._now = ""
        self._terminal = sys.stderr.isatty()
        self._begun = self._shown = time.monotonic()
        self._tenths = 0
        self._lock = threading.Lock()

    def say(self, now: str) -> None:
        """What is being done, in place of how many of the things are done in a second."""
        with self._lock:
            begins, self._now = not self._now and not self._done, now
            if self._terminal:
                self._redraw()
            elif begins:
                print(f"{self._label}: {now}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        with self._lock:
            self._done += 1
            if self._terminal:
                self._redraw()
            elif self._done * 10 // self._total > self._tenths:
                self._tenths = self._done * 10 // self._total
                print(f"{self._label}: {self._done:,} of {self._total:,}", file=sys.stderr, flush=True)

    def _redraw(self) -> None:
        now = time.monotonic()
        finished = self._done == self._total
        if not finished and not self._now and now - self._shown < 0.1:
            return
        self._shown = now
        filled = self._done * 30 // self._total
        speed = self._now or f"{self._done / max(now - self._begun, 0.001):,.0f}/s"
        bar = "█" * filled + "░" * (30 - filled)
        end = "\n" if finished else ""
        print(
            f"\r{self._label:<14} {bar} {self._done:,} of {self._total:,}  {speed:<40}",
            end=end,
            file=sys.stderr,
            flush=True,
        )
