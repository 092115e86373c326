"""How many database connections a deployment opens at most, by server: to hold against the servers' limits.

A test reads its rendered files (compose, Kubernetes) and says of each process which environment it has and how many of
it may run at once, the most a scale or an autoscaler allows and those of a rolling update included:

    processes = [
        Process(role="web", environment=web, replicas=10),  # web | worker | beat | backup | migrate | all | service
        Process(role="worker", environment=worker, replicas=2),
    ]
    assert connections(processes) == {"postgres-main:5432": 544, "mysql:3306": 348}

``environment`` is what the process would see: plain strings, secrets already looked up. Only ``ECI_…_DATABASE_URL``
(scheme, host and port), ``ECI_SERVICES``, ``ECI_WEB_WORKERS``, ``ECI_WEB_THREADS`` and ``ECI_POOL_SIZE`` are read;
a context without a URL has an SQLite file, and one that runs elsewhere has no database here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from config.contexts import CONTEXTS
from config.operations.processes import WORKER_THREADS

_PORTS = {"postgres": 5432, "postgresql": 5432, "mysql": 3306}


@dataclass(frozen=True, kw_only=True)
class Process:
    role: str
    environment: Mapping[str, str]
    replicas: int = 1


def connections(processes: Iterable[Process]) -> dict[str, int]:
    """Connections at most, by ``host:port``, when everything is busy at once."""
    total: Counter[str] = Counter()
    for process in processes:
        for url in _database_urls(process.environment):
            parts = urlsplit(url)
            if parts.scheme in _PORTS:
                server = f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
                total[server] += process.replicas * _for_one_database(process, pooled=parts.scheme != "mysql")
    return dict(total)


def _database_urls(environment: Mapping[str, str]) -> list[str]:
    elsewhere = {
        name
        for name, _, place in (entry.partition("=") for entry in environment.get("ECI_SERVICES", "").split(","))
        if place != "local"
    }
    names = ["platform", *(name for name in CONTEXTS if name not in elsewhere)]
    return [environment.get(f"ECI_{name.upper()}_DATABASE_URL", "") for name in names]


def _for_one_database(process: Process, *, pooled: bool) -> int:
    """Of one container. A thread keeps a connection for itself, or has one of its process's pool while it works.

    Without a pool there are as many more: of the spare threads, one fewer, and of one health check at a time.
    """
    environment = process.environment
    pool = int(environment.get("ECI_POOL_SIZE", "4"))
    web_processes, threads = int(environment.get("ECI_WEB_WORKERS", "2")), int(environment.get("ECI_WEB_THREADS", "4"))
    with_pool = pooled and pool > 0
    web = web_processes * (pool if with_pool else 2 * threads)
    worker = pool if with_pool else WORKER_THREADS + 1
    backup = 3  # its lock, its snapshot, and the dump program's own
    return {
        "web": web,
        "worker": worker,
        "beat": 0,
        "backup": backup,
        "migrate": 1,
        "all": web + worker,
        "service": web + worker,
    }[process.role]
