"""Gunicorn: few processes with threads, because an order mostly waits for databases and the payment provider.

Not more threads than a connection pool holds: see ECI_POOL_SIZE in config/settings.py.
"""

import gc
import os
import select
import signal

from gunicorn.workers.gthread import ThreadWorker

from eci.watch import metrics_folder, tracing
from eci.watch.logs import logging_config


class Worker(ThreadWorker):
    """Lets no connection die that the kernel has taken: what waits is accepted, then nobody listens any more.

    Gunicorn's own keeps the socket open until its last answer: whoever connects meanwhile would wait and be reset, with
    a request sent that a proxy must not send again. A refused one goes to another process at once.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()


worker_class = Worker
workers = int(os.environ.get("ECI_WEB_WORKERS", "2"))
threads = int(os.environ.get("ECI_WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 8
keepalive = 30
limit_request_line = 8190
limit_request_field_size = 16380
accesslog = None
loglevel = "warning"
logconfig_dict = logging_config()
logconfig_dict["loggers"]["gunicorn.error"] = {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
control_socket_disable = True


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    tracing.start("web")


def worker_int(worker):  # type: ignore[no-untyped-def]
    """Told to stop. Being told again (Ctrl-C reaches worker and parent, and that tells the worker) would cut it off."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, frame: None)  # SIG_IGN would complain of one that has just come


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    if worker.pid == os.getpid():  # the parent calls this too
        worker_int(worker)  # type: ignore[no-untyped-call]
        tracing.stop()


def on_starting(server):  # type: ignore[no-untyped-def]
    """Load the product once: workers are forked from it. Not by ``preload_app``, which loads before this is called."""
    metrics_folder.begin()
    server.app.wsgi()
    gc.collect()
    gc.freeze()  # what is loaded stays; looking through it again would cost, and copy what the processes share


def on_exit(server):  # type: ignore[no-untyped-def]
    metrics_folder.end()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    from eci.watch.metrics import watch_connections  # not above, where no folder for it is there yet

    watch_connections(worker.cfg.threads)
