"""The provider of ``tests.support.provider`` as a process that a test starts, kills and scripts."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tests.support.product import free_port, wait_until
from tests.support.world import ROOT

SECRET = "known to the provider and to us"


class ProviderProcess:
    """The provider of ``tests.support.provider``, to be started, killed, scripted and looked into."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.provider", str(self.port), SECRET]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._open, 60, "the provider listens")

    def begin(self, ledger: Path, *, webhook_url: str = "") -> None:
        """Open these books, new or kept from before, at a path of their own."""
        self.ledger = ledger
        self.url = f"http://127.0.0.1:{self.port}/{blake2b(bytes(ledger), digest_size=8).hexdigest()}/"
        self._control("begin", {"ledger": str(ledger), "webhook_url": webhook_url})

    def _open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def script(self, operation: str, fault: str, **details: Any) -> None:
        self._control("faults", {"operation": operation, "fault": fault, **details})

    def _control(self, path: str, content: dict[str, Any]) -> None:
        request = urllib.request.Request(self.url + path, json.dumps(content).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200

    def operations(self) -> list[tuple[str, str, int, str]]:
        """Kind, reference, amount and outcome of everything in its own ledger."""
        ledger = sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)
        try:
            return ledger.execute(
                "SELECT kind, reference, amount_minor, outcome FROM operations ORDER BY id"
            ).fetchall()
        finally:
            ledger.close()

    def done(self) -> Counter[str]:
        """How often it did what, by kind. No payment is taken twice, nor given back more than was taken."""
        rows = [
            (kind, reference, amount) for kind, reference, amount, outcome in self.operations() if outcome == "done"
        ]
        taken = [reference for kind, reference, _ in rows if kind in ("capture", "charge")]
        assert len(taken) == len(set(taken)), "a payment was captured twice"
        for reference in taken:
            of_payment = [(kind, amount) for kind, other, amount in rows if other == reference]
            captured = sum(amount for kind, amount in of_payment if kind in ("capture", "charge"))
            assert captured >= sum(amount for kind, amount in of_payment if kind == "refund")
        return Counter(kind for kind, _, _ in rows)
