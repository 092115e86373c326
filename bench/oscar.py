"""The peer: django-oscar, in an environment of its own, served as the product is. See bench/oscar_shop."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from bench.shop import ROOT, START, ShopError

_LOCK = ROOT / "bench/oscar_shop/requirements.lock"
WORKERS, THREADS = 2, 4  # as the product's by default: config/gunicorn.py


def installed(folder: Path) -> Path:
    """Its Python; installed on the first call, and when its lock file has changed. ShopError."""
    python = folder / "bin/python"
    stamp = folder / f".installed-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}"
    if stamp.exists():
        return python
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, "install", "--require-hashes", "--requirement", str(_LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ShopError(f"django-oscar cannot be installed:\n{done.stderr[-2000:]}")
    stamp.touch()
    return python


class Oscar:
    def __init__(self, python: Path, folder: Path, database: str, *, port: int, mail_port: int) -> None:
        self.python, self.port = python, port
        self.log = folder / "oscar.log"
        settings = {"DJANGO_SETTINGS_MODULE": "bench.oscar_shop.settings", "DATABASE_URL": database}
        self.environment = os.environ | settings | {"EMAIL_PORT": str(mail_port), "PYTHONPATH": str(ROOT)}
        self.products: list[int] = []
        self.users: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def prepare(self, *, products: int, users: int) -> None:
        command = [str(self.python), "-m", "bench.oscar_shop.fill", str(products), str(users)]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise ShopError(f"django-oscar's shop cannot be made:\n{done.stderr[-2000:]}")
        ids = json.loads(done.stdout.splitlines()[-1])
        self.products, self.users = ids["products"], ids["users"]

    def start(self) -> None:
        options = [
            "--workers",
            str(WORKERS),
            "--threads",
            str(THREADS),
            "--keep-alive",
            "30",
            "--preload",
            "--no-control-socket",
        ]
        application = ["django.core.wsgi:get_wsgi_application()", "--bind", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.python), "-m", "gunicorn", *application, *options],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise ShopError(f"django-oscar does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/nothing-here", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)
