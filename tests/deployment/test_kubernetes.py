"""What the rendered Kubernetes overlays promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.http.request import validate_host

from config.contexts import CONTEXTS
from tests.deployment.rendered import (
    GATEWAY,
    KUBERNETES,
    MONITORING,
    NODES,
    OVERLAYS,
    PRODUCT,
    SECRETS,
    containers,
    environment,
    objects,
    of_kind,
    one,
    pod,
    pods,
    require_valid,
)
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

SERVICES = {context.name: (context.service, context.cluster_port) for context in CONTEXTS.values()}
MINIKUBE, PRODUCTION = PRODUCT
MINIKUBE_MONITORING = MONITORING[0]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_what_the_kubernetes_version_takes(overlay: str, version: str) -> None:
    assert objects(overlay)
    for each in objects(overlay):
        require_valid(each, version)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_in_one_namespace(overlay: str) -> None:
    spaces = {each["metadata"].get("namespace") for each in objects(overlay) if each["kind"] != "Namespace"}
    assert spaces == {"ecommerce"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_is_confined(overlay: str) -> None:
    """What the namespace's pod security standard ``restricted`` asks, and more."""
    found = list(pods(overlay))
    assert found
    for name, template in found:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not any(spec.get(host) for host in ("hostNetwork", "hostPID", "hostIPC")), name
        for container in containers(spec):
            confined = container["securityContext"]
            assert confined["allowPrivilegeEscalation"] is False, name
            assert confined["readOnlyRootFilesystem"] is True, name
            assert confined["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} <= set(container["resources"]), name
            assert ":" in container["image"] and not container["image"].endswith(":latest"), name
            assert container["imagePullPolicy"] == "IfNotPresent", name


@pytest.mark.parametrize("overlay", PRODUCT)
def test_each_role_runs_from_the_one_image(overlay: str) -> None:
    roles = {}
    scheduled = {each["metadata"]["name"] for each in of_kind(overlay, "CronJob")}
    for name, template in pods(overlay):
        if name in scheduled:
            continue
        for container in template["spec"]["containers"]:
            if container["name"] == "eci":
                roles[name.partition("-")[0]] = container["args"]
                assert container["resources"] == {
                    "requests": {"memory": "256Mi", "cpu": "200m"},
                    "limits": {"memory": "512Mi", "cpu": "500m"},
                }
    assert roles == {role: [role] for role in ("web", "worker", "beat", "migrate")}
    images = {
        container["image"]
        for _, each in pods(overlay)
        for container in containers(each["spec"])
        if each["metadata"]["labels"]["app.kubernetes.io/name"] == "eci"
    }
    assert len(images) == 1


@pytest.mark.parametrize("overlay", PRODUCT)
def test_a_name_for_each_context_and_one_address_for_each_pod(overlay: str) -> None:
    web = {"app.kubernetes.io/name": "eci", "ecommerce/role": "web"}
    for context, (name, port) in SERVICES.items():
        spec = one(overlay, "Service", name)["spec"]
        assert spec["selector"] == web | {f"ecommerce/hosts-{context}": "true"}
        ports = {each["port"]: each["targetPort"] for each in spec["ports"]}
        assert ports == {port: "http", 8000: "http"}
    for name, port in (("web", 8000), ("worker", 9808)):
        spec = one(overlay, "Service", name)["spec"]
        assert (spec["clusterIP"], spec["ports"][0]["port"]) == ("None", port)
        assert spec["selector"] == web | {"ecommerce/role": name}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_finds_its_pods_and_every_named_port(overlay: str) -> None:
    templates = [template for _, template in pods(overlay)]
    for service in of_kind(overlay, "Service"):
        if service["spec"].get("type") == "ExternalName":
            continue
        wanted = service["spec"]["selector"].items()
        chosen = [each for each in templates if wanted <= each["metadata"]["labels"].items()]
        assert chosen, service["metadata"]["name"]
        named = {port["name"] for each in chosen for box in each["spec"]["containers"] for port in box["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named, service["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_volume_has_its_source(overlay: str) -> None:
    """ConfigMaps and claims are rendered too; Secrets are made by k8s/deploy.sh or by people."""
    there = {(each["kind"], each["metadata"]["name"]) for each in objects(overlay)}
    for name, template in pods(overlay):
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        for container in containers(template["spec"]):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes), name
            for source in container.get("envFrom", []):
                assert ("ConfigMap", source["configMapRef"]["name"]) in there, name
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there, name
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there, name


@pytest.mark.parametrize("overlay", PRODUCT)
def test_probes_are_split_and_being_alive_asks_no_database(overlay: str) -> None:
    web = pod(overlay, "Deployment", "web")["containers"][0]
    paths = {probe: web[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    beat = pod(overlay, "Deployment", "beat")["containers"][0]
    assert "/data/beat-alive" in " ".join(beat["livenessProbe"]["exec"]["command"])
    worker = pod(overlay, "Deployment", "worker")["containers"][0]
    assert {worker[f"{probe}Probe"]["tcpSocket"]["port"] for probe in ("startup", "liveness", "readiness")} == {
        "metrics"
    }


@pytest.mark.parametrize("overlay", PRODUCT)
def test_a_release_takes_nobody_off_the_air(overlay: str) -> None:
    for role in ("web", "worker"):
        strategy = one(overlay, "Deployment", role)["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        assert one(overlay, "PodDisruptionBudget", role)["spec"]["maxUnavailable"] == 1
        (first,) = pod(overlay, "Deployment", role)["initContainers"]
        assert first["args"] == ["python", "manage.py", "await_migrations"]
    web = pod(overlay, "Deployment", "web")
    (command, seconds) = web["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    gunicorn = re.search(r"graceful_timeout = (\d+)", (ROOT / "config/gunicorn.py").read_text())
    assert gunicorn is not None
    assert int(seconds) + int(gunicorn[1]) < web["terminationGracePeriodSeconds"]
    assert len(web["topologySpreadConstraints"]) == 2


@pytest.mark.parametrize("overlay", PRODUCT)
def test_there_is_never_a_second_beat(overlay: str) -> None:
    beat = one(overlay, "Deployment", "beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler")}
    assert scaled == {"web"}


@pytest.mark.parametrize("overlay", PRODUCT)
def test_web_scales_by_its_processors(overlay: str) -> None:
    scaler = one(overlay, "HorizontalPodAutoscaler", "web")
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 10)
    (metric,) = scaler["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert "replicas" not in one(overlay, "Deployment", "web")["spec"]  # or each release would set it back


@pytest.mark.parametrize("overlay", PRODUCT)
def test_finished_jobs_go_and_backups_stay(overlay: str) -> None:
    """Only what reads backups has the key that decrypts them, and only the backup itself runs by the clock."""
    (job,) = of_kind(overlay, "Job")
    assert job["spec"]["ttlSecondsAfterFinished"] > 3600
    for each in of_kind(overlay, "CronJob"):
        name, job = each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]
        assert job["ttlSecondsAfterFinished"] > 0 and each["spec"]["concurrencyPolicy"] == "Forbid", name
        assert each["spec"].get("suspend", False) is (name != "backup"), name
        spec = job["template"]["spec"]
        claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in spec["volumes"]]
        assert "backups" in claims, name
        given = environment(overlay, spec["containers"][0])
        assert given["ECI_BACKUP_DIR"] == "/backups", name
        decrypts = "ECI_BACKUP_IDENTITY_FILE" in given
        assert decrypts is (overlay == PRODUCTION and name != "backup"), name


@pytest.mark.parametrize("overlay", PRODUCT)
def test_a_context_can_leave_and_nothing_else_changes(overlay: str) -> None:
    """It gets pods of its own, with its label, which the others lose: Services and policies follow by themselves."""
    here = dict(pods(overlay))["web"]["metadata"]["labels"]
    shared = {key: value for key, value in here.items() if key != "ecommerce/hosts-inventory"}
    alone = {key: value for key, value in here.items() if not key.startswith("ecommerce/hosts-")}
    alone |= {"app.kubernetes.io/component": "inventory-web", "ecommerce/hosts-inventory": "true"}

    def reached(labels: dict[str, str]) -> set[str]:
        services = of_kind(overlay, "Service")
        return {each["metadata"]["name"] for each in services if each["spec"]["selector"].items() <= labels.items()}

    contexts = {name for name, _ in SERVICES.values()}
    assert reached(alone) & contexts == {"inventory-service"}
    assert reached(shared) & contexts == contexts - {"inventory-service"}
    assert "api" not in reached(alone) and "web" in reached(alone), (
        "Prometheus asks each pod; staff's pages are elsewhere"
    )

    def applied(labels: dict[str, str]) -> set[str]:
        policies = [
            (each["metadata"]["name"], each["spec"]["podSelector"]) for each in of_kind(overlay, "NetworkPolicy")
        ]
        return {name for name, chosen in policies if chosen.get("matchLabels", {}).items() <= labels.items()}

    assert applied(here) - applied(alone) == {"provider", "mail"}, "inventory pays nobody, and writes to nobody"
    for budget in of_kind(overlay, "PodDisruptionBudget", "Deployment"):
        assert not budget["spec"]["selector"]["matchLabels"].items() <= alone.items(), budget["metadata"]["name"]


@pytest.mark.parametrize("overlay", PRODUCT)
def test_names_are_found_through_a_cache_on_the_node_too(overlay: str) -> None:
    (rule,) = one(overlay, "NetworkPolicy", "names")["spec"]["egress"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in rule["to"]
    assert {port["port"] for port in rule["ports"]} == {53}


def test_the_gateway_leads_where_the_ingress_does() -> None:
    (rule,) = one(PRODUCTION, "Ingress", "ecommerce")["spec"]["rules"]
    assert not of_kind(GATEWAY, "Ingress")
    ports = {
        (each["metadata"]["name"], port["name"]): port["port"]
        for each in of_kind(GATEWAY, "Service")
        for port in each["spec"]["ports"]
    }
    wanted = {
        (each["path"], "PathPrefix" if each["pathType"] == "Prefix" else "Exact", service, ports[service, "http"])
        for each in rule["http"]["paths"]
        for service in [each["backend"]["service"]["name"]]
    }
    route = one(GATEWAY, "HTTPRoute", "ecommerce")["spec"]
    found = {
        (match["path"]["value"], match["path"]["type"], to["name"], to["port"])
        for each in route["rules"]
        for match in each["matches"]
        for to in each["backendRefs"]
    }
    assert found == wanted
    assert len(route["rules"]) <= 16 and max(len(each["matches"]) for each in route["rules"]) <= 8
    assert route["hostnames"] == [rule["host"]]
    (redirect,) = one(GATEWAY, "HTTPRoute", "ecommerce-https-only")["spec"]["rules"]
    assert redirect["filters"][0]["requestRedirect"]["scheme"] == "https"
    listeners = {each["name"]: each for each in one(GATEWAY, "Gateway", "ecommerce")["spec"]["listeners"]}
    assert listeners["https"]["tls"]["certificateRefs"] == [{"name": "ecommerce-tls"}]
    let_in = one(GATEWAY, "NetworkPolicy", "web")["spec"]["ingress"][0]["from"]
    assert "ingress-nginx" not in str(let_in) and "envoy-gateway-system" in str(let_in)


@pytest.mark.parametrize("overlay", PRODUCT)
def test_nothing_may_talk_unless_it_is_said(overlay: str) -> None:
    deny = one(overlay, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outward = [
        (target["ipBlock"]["cidr"], port["port"])
        for policy in of_kind(overlay, "NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for target in rule["to"]
        if "ipBlock" in target
        for port in rule["ports"]
    ]
    assert {port for cidr, port in outward if cidr == "0.0.0.0/0"} == {443, 465, 587}
    metadata = "169.254.0.0/16"
    for policy in of_kind(overlay, "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for target in rule["to"]:
                if target.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                    assert metadata in target["ipBlock"]["except"]


def test_of_production_no_secret_is_in_the_repository() -> None:
    for overlay in OVERLAYS:
        secrets = [each["metadata"]["name"] for each in of_kind(overlay, "Secret")]
        assert [name.rpartition("-")[0] for name in secrets] == (
            ["grafana"] if "minikube/monitoring" in overlay else []
        )
    for overlay in PRODUCT:
        for config in of_kind(overlay, "ConfigMap"):
            for name, value in config["data"].items():
                assert not re.search(r"(PASSWORD|SECRET|TOKEN_KEY|DATABASE_URL|REDIS_URL)", name) or (
                    name.endswith("_FILE") and value.startswith("/run/secrets/")
                ), name


@pytest.mark.parametrize("overlay", PRODUCT)
def test_the_product_takes_its_configuration(overlay: str, tmp_path: Path) -> None:
    """The settings load with what a pod would have, and let those in who ask it by any of its names."""
    web = pod(overlay, "Deployment", "web")["containers"][0]
    given = {"POD_IP": "10.244.0.7", "NODE_IP": "192.168.49.2"} | environment(overlay, web)
    for name, value in given.items():
        expanded = re.sub(r"\$\((\w+)\)", lambda match: given[match[1]], value)
        if expanded.startswith("/run/secrets/eci/"):
            file = tmp_path / Path(expanded).name
            file.write_text(SECRETS[file.name])
            expanded = str(file)
        given[name] = expanded
    script = "import json; from django.conf import settings as s; print(json.dumps([s.ECI_OPEN,"
    script += " s.ALLOWED_HOSTS, s.DATABASES['orders']['HOST'], s.DATABASES['catalog']['HOST']]))"
    given |= {"ECI_DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    is_open, hosts, mysql, postgres = json.loads(done.stdout)
    assert (is_open, mysql, postgres) == (False, "mysql", "postgres-main")
    public = "ecommerce.local" if overlay == MINIKUBE else "api.example.com"
    inside = ("10.244.0.7", "localhost", "catalog-service", "order-service.ecommerce.svc.cluster.local")
    assert all(validate_host(host, hosts) for host in (public, *inside))
    assert not validate_host("attacker.example", hosts)


def _route(overlay: str, path: str) -> str | None:
    """The Service that the Ingress leads a path to."""
    (rule,) = one(overlay, "Ingress", "ecommerce")["spec"]["rules"]
    found = [
        each
        for each in rule["http"]["paths"]
        if path == each["path"] or (each["pathType"] == "Prefix" and path.startswith(each["path"].rstrip("/") + "/"))
    ]
    best = max(found, key=lambda each: len(each["path"]), default=None)
    return str(best["backend"]["service"]["name"]) if best else None


@pytest.mark.parametrize("overlay", PRODUCT)
def test_the_ingress_leads_every_call_to_its_context_and_nothing_else_inside(overlay: str) -> None:
    for context, (service, _) in SERVICES.items():
        patterns = import_module(f"contexts.{context}.http.urls").urlpatterns
        assert patterns
        for pattern in patterns:
            path = str(pattern.pattern).replace("<", "").replace(">", "")
            first = SERVICES["catalog"][0] if path.startswith("imports") else service  # it leads to the one that has it
            assert _route(overlay, f"/v1/{path}") == first, path
            assert _route(overlay, f"/api/v1/{context}/v1/{path}") == service, path
        assert _route(overlay, f"/api/v1/{context}/v1/health") == service
    for path in ("/", "/health", "/v1/health", "/docs", "/schema", "/admin/login/", "/.well-known/jwks.json"):
        assert _route(overlay, path) == "api", path
    for path in ("/metrics", "/metrics/orders", "/internal", "/internal/orders", "/v1/internal", "/api/v1/orders"):
        assert _route(overlay, path) is None, path
    ingress = one(overlay, "Ingress", "ecommerce")["spec"]
    assert ingress["tls"] == [{"hosts": [ingress["rules"][0]["host"]], "secretName": "ecommerce-tls"}]


def test_the_ports_that_minikube_promises() -> None:
    assert one(MINIKUBE, "Service", "api")["spec"]["ports"][0]["nodePort"] == 30001
    assert one(MINIKUBE_MONITORING, "Service", "grafana")["spec"]["ports"][0]["nodePort"] == 30030
    assert {each["spec"].get("type") for each in of_kind(PRODUCTION, "Service")} == {None}


def test_minikube_brings_its_own_servers() -> None:
    run = {name for name, _ in pods(MINIKUBE)}
    assert {"postgres-main", "mysql", "redis"} <= run
    assert not {"postgres-main", "mysql", "redis"} & {name for name, _ in pods(PRODUCTION)}
    for server in ("postgres-main", "mysql"):
        assert one(MINIKUBE, "Deployment", server)["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("overlay", MONITORING)
def test_all_that_is_provisioned_is_mounted(overlay: str) -> None:
    """Every file of monitoring/ that a program reads is in a ConfigMap of some pod."""
    mounted = {
        volume["configMap"]["name"]
        for place in (overlay, NODES)
        for _, template in pods(place)
        for volume in template["spec"]["volumes"]
        if "configMap" in volume
    }
    maps = [*of_kind(overlay, "ConfigMap"), *of_kind(NODES, "ConfigMap")]
    held = {name for each in maps if each["metadata"]["name"] in mounted for name in each["data"]}
    files = {file.name for kind in ("*.yml", "*.yaml", "*.json") for file in (ROOT / "monitoring").rglob(kind)}
    assert files - {"kustomization.yaml"} == held
