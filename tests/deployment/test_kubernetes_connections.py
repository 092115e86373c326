"""The database connections that the rendered overlays can open, held against what their servers allow."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.deployment.connections import Process, connections
from tests.deployment.rendered import PRODUCT, SECRETS, Object, environment, of_kind, one, pod

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

MINIKUBE, PRODUCTION = PRODUCT
ROOM = 20  # those PostgreSQL keeps for superusers, somebody at psql


def processes(overlay: str) -> Iterator[Process]:
    for each in of_kind(overlay, "Deployment", "Job"):
        for container in each["spec"]["template"]["spec"]["containers"]:
            if container["name"] == "eci":
                given = environment(overlay, container)
                secrets = {
                    name: SECRETS[name] for name in (file.removesuffix("_FILE") for file in given) if name in SECRETS
                }
                yield Process(role=container["args"][0], environment=given | secrets, replicas=_at_most(overlay, each))
                if container["args"] == ["worker"]:  # a backup reads the same databases
                    yield Process(role="backup", environment=given | secrets)


def _at_most(overlay: str, each: Object) -> int:
    """Pods at once: as many as the autoscaler may start, and the one more of a release."""
    if each["kind"] == "Job":
        return 1
    scaled = [
        scaler["spec"]["maxReplicas"]
        for scaler in of_kind(overlay, "HorizontalPodAutoscaler")
        if scaler["spec"]["scaleTargetRef"]["name"] == each["metadata"]["name"]
    ]
    replicas: int = scaled[0] if scaled else each["spec"]["replicas"]
    return replicas + int(each["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge", 0))


def _limits(overlay: str) -> dict[str, int]:
    if overlay == PRODUCTION:
        told = one(overlay, "Namespace", "ecommerce")["metadata"]["annotations"]
        postgres, mysql = (told[f"ecommerce.example.com/{name}-max-connections"] for name in ("postgresql", "mysql"))
    else:
        (postgres,) = _arguments("postgres-main", r"max_connections=(\d+)")
        (mysql,) = _arguments("mysql", r"--max-connections=(\d+)")
    return {"postgres-main:5432": int(postgres), "mysql:3306": int(mysql)}


def _arguments(server: str, pattern: str) -> list[str]:
    return re.findall(pattern, " ".join(pod(MINIKUBE, "Deployment", server)["containers"][0]["args"]))


@pytest.mark.parametrize("overlay", PRODUCT)
def test_the_servers_take_everything_at_its_largest(overlay: str) -> None:
    wanted = connections(processes(overlay))
    limits = _limits(overlay)
    assert set(wanted) == set(limits)
    for server, sum_ in wanted.items():
        assert sum_ + ROOM <= limits[server], f"{server}: {sum_} and {ROOM} in reserve, of {limits[server]}"


@pytest.mark.parametrize("overlay", PRODUCT)
def test_the_sum_counts_what_grows(overlay: str) -> None:
    found = {process.role: process.replicas for process in processes(overlay)}
    assert found == {"web": 11, "worker": 2 if overlay == MINIKUBE else 3, "backup": 1, "beat": 1, "migrate": 1}
