"""The overlay in which every context has pods of its own, and the scripts that deploy it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.http.request import validate_host

from config.contexts import CONTEXTS, places
from tests.config.test_settings import told
from tests.deployment.connections import connections
from tests.deployment.rendered import (
    SECRETS,
    SERVICES,
    containers,
    environment,
    of_kind,
    one,
    pod,
    pods,
)
from tests.deployment.test_kubernetes_connections import processes
from tests.deployment.test_scripts import Cluster
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long, pytest.mark.first(11)]

COMMON = {"ECI_SECRET_KEY", "ECI_METRICS_TOKEN", "ECI_REDIS_URL", "ECI_PLATFORM_DATABASE_URL"}
ALSO = {"customers": {"ECI_TOKEN_KEY"}, "payments": {"ECI_WEBHOOK_SECRETS"}}


def test_a_deployment_a_scaler_and_a_budget_for_each_service_and_no_shared_pods() -> None:
    names = {context.service for context in CONTEXTS.values()}
    servers = {"postgres-main", "mysql", "redis"}
    assert {each["metadata"]["name"] for each in of_kind(SERVICES, "Deployment")} == names | servers | {"gateway"}
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert {each["metadata"]["name"] for each in of_kind(SERVICES, kind)} == names
    for name in names:
        assert one(SERVICES, "HorizontalPodAutoscaler", name)["spec"]["scaleTargetRef"]["name"] == name
        chosen = one(SERVICES, "PodDisruptionBudget", name)["spec"]["selector"]
        assert chosen == one(SERVICES, "Deployment", name)["spec"]["selector"]


def test_each_service_leads_to_its_own_pods_and_the_rest_to_the_gateway() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods(SERVICES)}

    def reached(service: str) -> set[str]:
        wanted = one(SERVICES, "Service", service)["spec"]["selector"].items()
        return {name for name, own in labels.items() if wanted <= own.items()}

    names = {context.service for context in CONTEXTS.values()}
    for context in CONTEXTS.values():
        assert reached(context.service) == {context.service}
        ports = {port["port"] for port in one(SERVICES, "Service", context.service)["spec"]["ports"]}
        assert ports == {context.cluster_port, 8000}
    assert reached("api") == {"gateway"}
    assert reached("web") == reached("worker") == names, "Prometheus asks each pod, for both"
    assert one(SERVICES, "Service", "api")["spec"]["ports"][0]["nodePort"] == 30001


def test_a_pod_has_its_own_key_and_no_other_context_s_database(tmp_path: Path) -> None:
    """And its settings load with that."""
    asked, given = [], []
    for context in CONTEXTS:
        folder = tmp_path / context
        folder.mkdir()
        name = CONTEXTS[context].service
        spec = pod(SERVICES, "Deployment", name)
        (container,) = spec["containers"]
        assert container["args"] == ["service"]
        mounted = {volume["name"]: volume for volume in spec["volumes"]}
        keys = {item["key"] for item in mounted["secrets"]["secret"]["items"]}
        assert keys == COMMON | {f"ECI_{context.upper()}_DATABASE_URL"} | ALSO.get(context, set())
        assert mounted["service-key"]["secret"]["secretName"] == f"{name}-key"
        assert ("sandbox" in mounted) is (context == "payments")

        where = places(environment(SERVICES, container)["ECI_SERVICES"])
        assert where == {
            other.name: "local" if other.name == context else f"http://{other.service}:{other.cluster_port}"
            for other in CONTEXTS.values()
        }
        for each in containers(spec):
            asked.append((context, name, each is container))
            given.append(_given(environment(SERVICES, each), keys, folder))
    names = ("ECI_OPEN", "ECI_CONTEXTS", "ALLOWED_HOSTS", "ECI_SERVICE_NAME", "DATABASES")
    for (context, name, serves), made in zip(asked, told(tmp_path, *names, of=given), strict=True):
        assert isinstance(made, list), f"{context}: {made}"
        is_open, hosted, hosts, called, databases = made
        assert (is_open, list(hosted), called, set(databases)) == (False, [context], context, {"default", context})
        if serves:
            assert validate_host("ecommerce.local", hosts) and validate_host(name, hosts)


def _given(variables: dict[str, str], keys: set[str], folder: Path) -> dict[str, str]:
    """As the cluster fills them in, with the secrets that are mounted as files of this folder."""
    found = {"POD_IP": "10.244.0.7", "NODE_IP": "192.168.49.2"} | variables
    for variable, value in found.items():
        expanded = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], value)
        if expanded.startswith("/run/secrets/eci/"):
            file = folder / Path(expanded).name
            if file.name in keys:
                file.write_text(SECRETS[file.name])
            expanded = str(file)
        if expanded.startswith("/run/secrets/service/"):
            expanded = str(folder / "service.pem")
            Path(expanded).touch()
        found[variable] = expanded
    return found | {"ECI_DATA_DIR": str(folder / "data")}


def test_the_servers_take_everything_at_its_largest() -> None:
    wanted = connections(processes(SERVICES))
    (postgres,) = re.findall(r"max_connections=(\d+)", " ".join(_arguments("postgres-main")))
    (mysql,) = re.findall(r"--max-connections=(\d+)", " ".join(_arguments("mysql")))
    assert wanted["postgres-main:5432"] + 20 <= int(postgres)
    assert wanted["mysql:3306"] + 20 <= int(mysql)


def _arguments(server: str) -> list[str]:
    return list(pod(SERVICES, "Deployment", server)["containers"][0]["args"])


def test_only_the_gateway_is_reached_from_outside_the_cluster() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in pods(SERVICES)}
    open_ones = [
        policy["spec"]["podSelector"]["matchLabels"].items()
        for policy in of_kind(SERVICES, "NetworkPolicy")
        for rule in policy["spec"].get("ingress", [])
        if any("ipBlock" in source for source in rule["from"])
    ]
    assert {name for name, own in labels.items() for chosen in open_ones if chosen <= own.items()} == {"gateway"}
    by_name = {
        name: [
            one["metadata"]["name"]
            for one in of_kind(SERVICES, "NetworkPolicy")
            if one["spec"]["podSelector"].get("matchLabels", {"": ""}).items() <= own.items()
        ]
        for name, own in labels.items()
    }
    assert [name for name, policies in by_name.items() if "provider" in policies] == ["payment-service"]
    assert [name for name, policies in by_name.items() if "mail" in policies] == ["notification-service"]


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def deploy(cluster: Cluster, cut: str, **more: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUT", cut)
        return cluster.run("deploy.sh", **more)


def test_it_is_deployed_with_a_key_for_each_and_the_other_cut_goes(cluster: Cluster) -> None:
    together = deploy(cluster, "")
    assert together.returncode == 0, together.stderr
    done = deploy(cluster, "services")
    assert done.returncode == 0, done.stderr
    waited = [call.split()[3].removeprefix("deployment/") for call in done.calls if call.startswith("kubectl rollout")]
    assert {context.service for context in CONTEXTS.values()} <= set(waited) and "gateway" in waited
    state = cluster.state
    assert not {"deployment/web", "deployment/beat", "horizontalpodautoscaler/web"} & set(state["objects"])
    callers = state["secrets"]["service-callers"]
    assert set(callers) == {f"{name}.pem" for name in CONTEXTS}
    for context in CONTEXTS.values():
        private = state["secrets"][f"{context.service}-key"]["service.pem"]
        public = subprocess.run(["openssl", "pkey", "-pubout"], input=private, capture_output=True, text=True).stdout
        assert public == callers[f"{context.name}.pem"]
    before = cluster.state["secrets"]
    again = _run_where_the_documentation_says(cluster)
    assert "kubectl rollout status deployment/catalog-service --timeout=5s" in again.calls
    assert cluster.state["secrets"] == before
    back = deploy(cluster, "")
    assert back.returncode == 0, back.stderr
    assert "deployment/web" in cluster.state["objects"] and "deployment/gateway" not in cluster.state["objects"]
    assert "CUT=half is no cut" in deploy(cluster, "half").stderr


def _run_where_the_documentation_says(cluster: Cluster) -> Any:
    """cd k8s-manifests && ./deploy.sh, and then its monitoring; the first of the finished scripts."""
    folder = cluster.folder / "k8s-manifests"
    folder.mkdir()
    for name in ("deploy.sh", "deploy-monitoring.sh"):
        assert os.access(ROOT / "k8s-manifests" / name, os.X_OK)
        (folder / name).write_text((ROOT / "k8s-manifests" / name).read_text())
        (folder / name).chmod(0o755)
    done = cluster.run("../k8s-manifests/deploy.sh")
    assert done.returncode == 0, done.stderr
    watched = cluster.run("../k8s-manifests/deploy-monitoring.sh")
    assert watched.returncode == 0, watched.stderr
    return done
