"""Gunicorn: few processes with threads, because an order mostly waits for databases and the payment provider.

Not more threads than a connection pool holds: see ECI_POOL_SIZE in config/settings.py.
"""

import os
import signal

from eci import tracing
from eci.logs import logging_config

worker_class = "gthread"
workers = int(os.environ.get("ECI_WEB_WORKERS", "2"))
threads = int(os.environ.get("ECI_WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 8
keepalive = 30
limit_request_line = 8190
limit_request_field_size = 16380
accesslog = None
loglevel = "warning"
logconfig_dict = logging_config("WARNING")
logconfig_dict["loggers"]["gunicorn.error"] = {"handlers": ["stderr"], "propagate": False}
preload_app = False
control_socket_disable = True


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    tracing.start("web")


def worker_int(worker):  # type: ignore[no-untyped-def]
    """Told to stop. Being told again (Ctrl-C reaches the worker and its parent, who tells it too) would cut that off."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: None)  # SIG_IGN would complain of one that has just come


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    if worker.pid == os.getpid():  # the parent calls this too
        worker_int(worker)
        tracing.stop()


def child_exit(server, worker):  # type: ignore[no-untyped-def]
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
