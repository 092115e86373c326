"""The processes of the product and the command of each. ``manage.py up`` runs all of them, a container runs one.

``python -m config.operations.processes ROLE`` becomes that process.
"""

from __future__ import annotations

import ctypes
import gc
import os
import runpy
import signal
import sys

_libc = ctypes.CDLL(None, use_errno=True)
WORKER_THREADS = 3  # tasks at a time; the relay has one more thread


def web(*binds: str, beside: bool = False) -> list[str]:
    """``beside``: others may listen at the same addresses, as while one process takes another's place."""
    options = ["--config", "config/gunicorn.py", *(f"--bind={bind}" for bind in binds)]
    options += ["--reuse-port"] if beside else []
    return [sys.executable, "-m", "gunicorn", "config.wsgi:application", *options]


def worker() -> list[str]:
    from django.conf import settings

    queues = ["--queues", ",".join([settings.ECI_SERVICE_NAME, *settings.ECI_CONTEXTS])]
    threads = ["--pool", "threads", "--concurrency", str(WORKER_THREADS)]
    lean = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [*_celery("worker"), *threads, *queues, *lean]


def beat() -> list[str]:
    return [*_celery("beat"), "--scheduler", "config.celery:Scheduler", "--pidfile="]


def backup() -> list[str]:
    return [sys.executable, "-m", "django", "backup", "--regularly"]


def _celery(part: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "config.celery", "--quiet", part, "--loglevel", "WARNING"]


def load() -> None:
    """Import what web, worker and beat need, before they are forked from this process."""
    from celery.apps import beat, worker  # noqa: F401
    from celery.bin import celery as command  # noqa: F401 - half of what worker and beat would load by themselves

    from config import celery, wsgi  # noqa: F401

    celery.app.loader.import_default_modules()


def collect_rarely() -> None:
    """Of what is loaded by now nothing becomes garbage: collecting among it would cost time, and copy pages that
    processes share. A large answer, or a piece of an import, is thousands of objects, and no garbage before it is done.
    """
    gc.collect()
    gc.set_threshold(10_000)
    gc.freeze()


def end_with_parent(number: signal.Signals) -> None:
    """From now on this process gets the signal when the one that started it ends, even if that is killed."""
    prctl(1, number)  # PR_SET_PDEATHSIG


def prctl(option: int, argument: int | bytes) -> None:
    _libc.prctl(option, argument)


def become(command: list[str]) -> None:
    """Run the command (``python -m MODULE ARGUMENT ...``) in this process, which has the product loaded."""
    module, *arguments = command[2:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _unfinished() -> str:
    """Why this process may not start: a restore was cut off."""
    from django.conf import settings
    from django.db import Error

    from config import unfinished
    from eci.databases import bound_waits

    bound_waits(settings.ECI_DATABASE_TIMEOUT, statements=True)
    try:
        return unfinished.anywhere(settings.DATA_DIR)
    except Error:  # a database that is away keeps nobody from starting
        return ""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    match sys.argv[1:]:
        case ["web" | "worker" | "beat"] if problem := _unfinished():
            sys.exit(problem)
        case ["web"]:
            command = web(f"0.0.0.0:{os.environ.get('PORT', '8000')}")
        case ["worker"]:
            command = worker()
        case ["beat"]:
            command = beat()
        case ["backup"]:
            command = backup()
        case _:
            sys.exit("usage: python -m config.operations.processes web|worker|beat|backup")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
