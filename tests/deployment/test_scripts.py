"""k8s/*.sh on a cluster that records, and refuses on command."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from tests.deployment import api_server, fake_cluster
from tests.deployment.rendered import kubectl, render
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long, pytest.mark.first(11)]

# As a module it is compiled once.
PROGRAM = f"""#!{sys.executable} -S
import sys
sys.path.insert(0, "{Path(fake_cluster.__file__).parent}")
from fake_cluster import main
sys.exit(main())
"""
CHANGES = ("enable", "load", "create", "delete")


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.k8s = Path(shutil.copytree(ROOT / "k8s", folder / "k8s", ignore=shutil.ignore_patterns(".deploy")))
        shutil.copytree(ROOT / "monitoring", folder / "monitoring")
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("kubectl", "minikube", "docker"):
            program = self.bin / name
            program.write_text(PROGRAM)
            program.chmod(0o755)
        self.state = fake_cluster.empty()

    @property
    def state(self) -> dict[str, Any]:
        return fake_cluster.load(str(self.folder))

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        fake_cluster.save(str(self.folder), state)

    def run(self, script: str, *words: str, refuse: str = "", image: str = "a1b2c3d4", answer: str = "") -> Any:
        """The finished script, with ``calls``: what it asked of the cluster, in order."""
        (self.folder / "calls").write_text("")
        environment = os.environ | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "FAKE_CLUSTER": str(self.folder),
            "FAKE_IMAGE": image,
            "FAKE_REFUSE": refuse,
            "FAKE_LIBRARIES": str(Path(yaml.__file__).parents[1]),
            "REAL_KUBECTL": kubectl(),
            "PATIENCE": "5s",
        }
        command = [str(self.k8s / script), *words]
        done: Any = subprocess.run(command, env=environment, input=answer, capture_output=True, text=True)
        done.calls = (self.folder / "calls").read_text().splitlines()
        return done


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    """A first deployment: the finished script, and what the cluster held after it."""
    cluster = Cluster(tmp_path_factory.mktemp("first"))
    return cluster.run("deploy.sh"), cluster.state


@pytest.fixture
def deployed(cluster: Cluster, first: tuple[Any, dict[str, Any]]) -> Cluster:
    """A cluster as the first deployment left it."""
    cluster.state = first[1]
    return cluster


def _changes(calls: list[str]) -> list[str]:
    return [call for call in calls if set(call.split()) & set(CHANGES)]


def test_each_step_waits_for_the_one_before(first: tuple[Any, dict[str, Any]]) -> None:
    done, _ = first
    assert done.returncode == 0, done.stderr
    wanted = [
        "minikube addons enable ingress",
        "minikube addons enable metrics-server",
        "docker build",
        "minikube image load eci:a1b2c3d4a1b2",
        "kubectl create secret generic eci --from-file",
        "kubectl create secret generic eci-admin",
        "kubectl create secret tls ecommerce-tls",
        "kubectl rollout status deployment/ingress-nginx-controller",
        "kubectl apply .deploy/manifests",
        "kubectl rollout status deployment/postgres-main",
        "kubectl rollout status deployment/mysql",
        "kubectl rollout status deployment/redis",
        "kubectl get job migrate-",
        "kubectl rollout status deployment/web",
        "kubectl rollout status deployment/worker",
        "kubectl rollout status deployment/beat",
    ]
    places = [
        next(i for i, call in enumerate(done.calls) if all(word in call for word in start.split())) for start in wanted
    ]
    assert places == sorted(places)
    assert "http://192.168.49.2:30001/health" in done.stdout


def test_the_pods_find_every_secret_they_are_told_of(deployed: Cluster) -> None:
    state = deployed.state
    config = next(each["data"] for name, each in state["objects"].items() if name.startswith("configmap/eci-"))
    files = {Path(value).name for name, value in config.items() if name.endswith("_FILE")}
    secrets = state["secrets"]["eci"]
    assert files <= set(secrets)
    for name in files:
        if name.endswith("_URL"):
            server = {"postgres": "POSTGRES", "mysql": "MYSQL", "redis": "REDIS"}[urlsplit(secrets[name]).scheme]
            assert urlsplit(secrets[name]).password == secrets[f"{server}_PASSWORD"]
    certificate = x509.load_pem_x509_certificate(state["secrets"]["ecommerce-tls"]["tls.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ecommerce.local"]


def test_the_secrets_are_strong_enough_for_the_settings(deployed: Cluster, tmp_path: Path) -> None:
    secrets = deployed.state["secrets"]["eci"]
    given = {name: secrets[name] for name in ("ECI_SECRET_KEY", "ECI_TOKEN_KEY", "ECI_WEBHOOK_SECRETS")}
    environment = given | {"ECI_DATA_DIR": str(tmp_path / "data"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    script = "import django; django.setup(); from eci.identity import tokens; tokens.jwks()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_second_run_changes_nothing(deployed: Cluster) -> None:
    before = deployed.state
    again = deployed.run("deploy.sh")
    assert again.returncode == 0, again.stderr
    assert _changes(again.calls) == []
    assert deployed.state == before


def _jobs_of(state: dict[str, Any]) -> list[str]:
    return [name for name in state["objects"] if name.startswith("job/")]


def _jobs(cluster: Cluster) -> list[str]:
    return _jobs_of(cluster.state)


def _edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_a_changed_setting_and_a_changed_limit_can_be_deployed(deployed: Cluster) -> None:
    seen = [_jobs(deployed)]
    config = deployed.k8s / "overlays/minikube/config.env"
    for file, old, new in (
        (config, "ECI_HSTS_SECONDS=0", "ECI_HSTS_SECONDS=60"),
        (deployed.k8s / "components/pod/pod.yaml", "limits: {memory: 512Mi", "limits: {memory: 640Mi"),
    ):
        _edit(file, old, new)
        done = deployed.run("deploy.sh")
        assert done.returncode == 0, done.stderr
        seen.append(_jobs(deployed))
    assert [len(jobs) for jobs in seen] == [1, 1, 1] and len({*map(str, seen)}) == 3, "each has its own Job"
    web = deployed.state["objects"]["deployment/web"]["spec"]["template"]["spec"]["containers"][0]
    assert web["resources"]["limits"]["memory"] == "640Mi"
    told = deployed.state["objects"][f"configmap/{web['envFrom'][0]['configMapRef']['name']}"]
    assert told["data"]["ECI_HSTS_SECONDS"] == "60"


def test_an_image_may_be_named_as_registries_name_them(cluster: Cluster) -> None:
    overlay = cluster.k8s / "overlays/production"
    jobs, image = [], "newName: registry.example.com/eci\n    newTag: 0.1.0"
    digest = f'newName: registry.example.com/eci\n    digest: "sha256:{"0123456789abcdef" * 4}"'
    for other in ("newName: registry.example.com:5000/team/eci\n    newTag: V1.2_RC", digest):
        _edit(overlay / "kustomization.yaml", image, other)
        image = other
        done = cluster.run("apply.sh", str(overlay))
        assert done.returncode == 0, done.stderr
        jobs.append(_jobs(cluster))
    before = cluster.state
    assert cluster.run("apply.sh", str(overlay)).returncode == 0
    assert cluster.state == before
    assert [len(each) for each in jobs] == [1, 1] and jobs[0] != jobs[1]


def test_kubectl_alone_can_deploy_a_changed_image_setting_or_limit(tmp_path: Path) -> None:
    k8s = Path(shutil.copytree(ROOT / "k8s", tmp_path / "k8s"))
    overlay = k8s / "overlays/production"
    found: dict[str, Any] = {}
    for file, old, new in (
        (overlay / "config.env", "EMAIL_PORT=587", "EMAIL_PORT=465"),
        (overlay / "kustomization.yaml", "newTag: 0.1.0", "newTag: V1.2_RC"),
        (k8s / "components/pod/pod.yaml", "limits: {memory: 512Mi", "limits: {memory: 640Mi"),
        (overlay / "kustomization.yaml", "newTag: V1.2_RC", f'digest: "sha256:{"0123456789abcdef" * 4}"'),
    ):
        _edit(file, old, new)
        for each in yaml.load_all(render(overlay), yaml.CSafeLoader):
            name = f"{each['kind']}/{each['metadata']['name']}"
            assert not list(api_server.refusals(found.get(name), each)), name
            found[name] = each
    assert len([name for name in found if name.startswith("Job/migrate-")]) == 4


def test_what_a_cluster_refuses_is_said(deployed: Cluster) -> None:
    _edit(deployed.k8s / "components/pod/pod.yaml", "memory: 256Mi", "memory: 768Mi")
    done = deployed.run("deploy.sh")
    assert done.returncode == 1
    assert "memory above its limit" in done.stderr and "FAILED: The cluster refused what was applied" in done.stderr


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("job/migrate-", "spec template spec restartPolicy", "OnFailure", "spec.template: field is immutable"),
        ("job/migrate-", "metadata name", "migrate-V1.2_RC", "metadata.name: 'migrate-V1.2_RC'"),
        ("deployment/beat", "spec selector matchLabels ecommerce/role", "beat", "spec.selector: field is immutable"),
        ("deployment/beat", "spec template metadata labels ecommerce/role", "a drum", "label ecommerce/role: 'a drum'"),
        ("service/web", "spec clusterIP", "10.0.0.7", "spec.clusterIP: field is immutable"),
        ("service/web", "metadata name", "web.v1", "metadata.name: 'web.v1'"),
        ("persistentvolumeclaim/backups", "spec resources requests storage", "2Gi", "can not be less than before"),
        ("cronjob/backup", "spec jobTemplate spec template spec volumes", [], "volumeMounts.name: 'backups' not found"),
        ("deployment/worker", "spec revisionHistoryLimits", 3, "revisionHistoryLimits"),
    ],
)
def test_the_stand_in_refuses_what_a_cluster_refuses(
    first: tuple[Any, dict[str, Any]], name: str, path: str, value: Any, said: str
) -> None:
    old = next(each for key, each in first[1]["objects"].items() if key.startswith(name))
    new = copy.deepcopy(old)
    *way, last = path.split()
    at = new
    for step in way:
        at = at[step]
    at[last] = value
    assert not list(api_server.refusals(old, old))
    assert said in " ".join([*api_server.refusals(old, new), *api_server.unknown(new)])


def test_another_image_is_another_release(deployed: Cluster) -> None:
    before = deployed.state
    assert deployed.run("deploy.sh", image="ffff0000").returncode == 0
    after = deployed.state
    assert after["secrets"] == before["secrets"]
    assert len(_jobs(deployed)) == 1 and _jobs(deployed) != _jobs_of(before)
    (container,) = after["objects"]["deployment/web"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "eci:ffff0000ffff"


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("addons enable ingress", "minikube cannot enable its add-on ingress."),
        ("docker build", "The image cannot be built."),
        ("image load", "minikube cannot load the image eci:a1b2c3d4a1b2."),
        ("create secret generic eci ", "The Secret eci cannot be made."),
        ("deployment/ingress-nginx-controller", "minikube's ingress controller did not become healthy within 5s."),
        ("apply --filename {k8s}/.deploy", "The cluster refused what was applied"),
        ("rollout status deployment/postgres-main", "postgres-main did not become healthy within 5s."),
        ("failed-job", "The migrations did not finish."),
        ("rollout status deployment/beat", "beat did not become healthy within 5s."),
    ],
)
def test_what_fails_is_said(cluster: Cluster, refused: str, said: str) -> None:
    done = cluster.run("deploy.sh", refuse=refused.format(k8s=cluster.k8s))
    assert done.returncode == 1
    assert f"FAILED: {said}" in done.stderr
    assert "It runs." not in done.stdout


def test_running_it_again_mends_what_failed(cluster: Cluster) -> None:
    failed = cluster.run("deploy.sh", refuse="rollout status deployment/web")
    assert failed.returncode == 1 and "FAILED: web did not become healthy within 5s." in failed.stderr
    assert "CrashLoopBackOff" in failed.stderr and "its last words" in failed.stderr
    before = cluster.state
    assert cluster.run("deploy.sh").returncode == 0
    assert cluster.state["secrets"] == before["secrets"]


def test_without_minikube_nothing_is_begun(cluster: Cluster) -> None:
    cluster.state = fake_cluster.empty() | {"running": False}
    for script in ("deploy.sh", "deploy-monitoring.sh", "cleanup.sh"):
        done = cluster.run(script)
        assert (done.returncode, _changes(done.calls)) == (1, [])
        assert "minikube start" in done.stderr


def test_databases_whose_passwords_are_gone_are_left_alone(deployed: Cluster) -> None:
    state = deployed.state
    del state["secrets"]["eci"]
    deployed.state = state
    done = deployed.run("deploy.sh")
    assert (done.returncode, _changes(done.calls)) == (1, [])
    assert "the Secret eci with their passwords is not" in done.stderr


def test_monitoring_comes_after_the_product(cluster: Cluster, first: tuple[Any, dict[str, Any]]) -> None:
    early = cluster.run("deploy-monitoring.sh")
    assert early.returncode == 1 and "First: k8s/deploy.sh" in early.stderr
    cluster.state = first[1]
    done = cluster.run("deploy-monitoring.sh")
    assert done.returncode == 0, done.stderr
    assert "http://192.168.49.2:30030" in done.stdout
    before = cluster.state
    assert cluster.run("deploy-monitoring.sh").returncode == 0
    assert cluster.state == before
    for part in ("deployment/grafana", "daemonset/fluent-bit"):
        failed = cluster.run("deploy-monitoring.sh", refuse=f"rollout status {part}")
        assert failed.returncode == 1
        assert f"FAILED: {part.partition('/')[2]} did not become healthy" in failed.stderr
    assert cluster.run("cleanup.sh", "--yes").returncode == 0
    assert cluster.state["objects"] == {}, "nothing is left on the nodes either"


def test_the_exporters_have_passwords_of_their_own(deployed: Cluster) -> None:
    secrets = deployed.state["secrets"]
    own = secrets["eci"]["MONITOR_PASSWORD"]
    assert own not in (secrets["eci"]["POSTGRES_PASSWORD"], secrets["eci"]["MYSQL_PASSWORD"])
    assert secrets["exporters"]["postgres_password"] == own
    assert f"user=eci_monitor\npassword={own}\n" in secrets["exporters"]["mysql.cnf"]
    assert json.loads(secrets["exporters"]["redis.json"]) == {"redis://redis:6379": secrets["eci"]["REDIS_PASSWORD"]}


def test_cleaning_up_asks_first(deployed: Cluster) -> None:
    before = deployed.state
    for answer in ("", "no\n"):
        refused = deployed.run("cleanup.sh", answer=answer)
        assert refused.returncode == 1 and "Nothing was deleted." in refused.stderr
        assert deployed.state == before
    assert deployed.run("cleanup.sh", answer="yes\n").returncode == 0
    assert deployed.state["objects"] == {}
    again = deployed.run("cleanup.sh", "--yes")
    assert again.returncode == 0 and "There is nothing to delete." in again.stdout


def test_a_namespace_that_does_not_go_is_said(deployed: Cluster) -> None:
    done = deployed.run("cleanup.sh", "--yes", refuse="delete namespace")
    assert done.returncode == 1 and "the namespace ecommerce is not gone" in done.stderr.lower()


@pytest.mark.parametrize(
    ("answers", "words", "told"),
    [
        (None, [], "install its client and engine"),
        ("exit 1", [], "No Docker engine answers"),
        ('[ "$1" != compose ]', ["compose"], "compose plugin is needed"),
        ('[ "$1" != compose ]', [], ""),
        ("exit 0", ["compose"], ""),
    ],
)
def test_what_docker_lacks_is_said_in_one_line(
    answers: str | None, words: list[str], told: str, tmp_path: Path
) -> None:
    if answers is not None:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{answers}\n")
        (tmp_path / "docker").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / "tools/docker.sh", *words], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == ((3, 1) if told else (0, 0))
    assert told in done.stderr
