"""What Kubernetes runs on every node, and what the agent makes of names and lines."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deployment.monitoring.expressions import MONITORING
from tests.deployment.rendered import KUBERNETES, NODES, containers, objects, of_kind, one, pods, require_valid

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]


@pytest.mark.parametrize("version", KUBERNETES)
def test_it_is_what_the_kubernetes_version_takes(version: str) -> None:
    for each in objects(NODES):
        require_valid(each, version)
        assert each["metadata"].get("namespace", "ecommerce-nodes") == "ecommerce-nodes"


def test_they_read_the_node_and_change_nothing() -> None:
    found = dict(pods(NODES))
    assert found.keys() == {"node-exporter", "fluent-bit"}
    for name, template in found.items():
        spec = template["spec"]
        assert not any(spec.get(host) for host in ("hostNetwork", "hostPID", "hostIPC")), name
        assert spec["automountServiceAccountToken"] is False, name
        hosts = {volume["name"] for volume in spec["volumes"] if "hostPath" in volume}
        for container in containers(spec):
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True and confined["allowPrivilegeEscalation"] is False, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert "limits" in container["resources"], name
            assert all(mount.get("readOnly") for mount in container["volumeMounts"] if mount["name"] in hosts), name
    assert one(NODES, "Service", "fluent-bit")["spec"]["clusterIP"] == "None", "Prometheus asks each pod"
    assert of_kind(NODES, "NetworkPolicy")


def parser(name: str) -> re.Pattern[str]:
    config: Any = yaml.safe_load((MONITORING / "fluent-bit" / "fluent-bit.yaml").read_text())
    (found,) = [each for each in config["parsers"] if each["name"] == name]
    return re.compile(found["regex"].replace("(?<", "(?P<"))


@pytest.mark.parametrize(
    ("pod", "service"),
    [
        ("web-7d4b9c6f5-abcde", "web"),
        ("postgres-main-5c9f8b7d6-xk2lp", "postgres-main"),
        ("migrate-0.1.0-a1b2c3-x7k2p", "migrate-0.1.0"),
        ("fluent-bit-x7k2p", "fluent"),
    ],
)
def test_a_service_is_found_in_its_pods_name(pod: str, service: str) -> None:
    found = parser("pod_of_path").match(f"/var/log/containers/{pod}_ecommerce_eci-{'0' * 64}.log")
    assert found and (found["pod"], found["service"]) == (pod, service)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"order_id": "ORD-1", "event": "request", "level": "info", "logger": "eci.access"}', "info"),
        ("2026-11-30 09:30:00 UTC [1] LOG:  checkpoint starting", None),
    ],
)
def test_a_line_is_kept_whole_beside_its_level(line: str, level: str | None) -> None:
    for written in (line, f"{line}\n"):
        found = parser("level_of_line").match(written)
        assert found and (found["line"], found["level"]) == (line, level)
