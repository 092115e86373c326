"""What ``kubectl kustomize`` makes of k8s/, and how to find something in it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.programs import program
from tests.support.world import ROOT

PRODUCT = ("k8s/overlays/minikube", "k8s/overlays/production")
MONITORING = ("k8s/overlays/minikube/monitoring", "k8s/overlays/production/monitoring")
NODES = "k8s/monitoring/nodes"  # in a namespace of its own: tests/deployment/monitoring looks at it
GATEWAY = "k8s/overlays/production-gateway"
SERVICES = "k8s/overlays/services"
OVERLAYS = (*PRODUCT, *MONITORING, SERVICES)
KUBERNETES = ("1.25", "latest")  # versions

Object = dict[str, Any]


def kubectl() -> str:
    return program("kubectl", "tools/install-kubectl.sh")


def require_valid(each: Object, version: str) -> None:
    """What ``kubernetes-validate --strict`` says of the object, without its processes."""
    kubernetes_validate = _kubernetes_validate()
    version = kubernetes_validate.latest_version() if version == "latest" else version
    kubernetes_validate.validate(each, version, strict=True)


@functools.cache
def _kubernetes_validate() -> Any:
    from kubernetes_validate import utils  # it takes a second, which every process of a test run would spend

    utils.schema_contents = functools.cache(utils.schema_contents)  # it would read them all again for each object
    return utils


def render(folder: Path) -> str:
    done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def text(overlay: str) -> str:
    return render(ROOT / overlay)


@functools.cache
def objects(overlay: str) -> list[Object]:
    return list(yaml.load_all(text(overlay), yaml.CSafeLoader))


def of_kind(overlay: str, *kinds: str) -> list[Object]:
    return [one for one in objects(overlay) if one["kind"] in kinds]


def one(overlay: str, kind: str, name: str) -> Object:
    (found,) = [each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name]
    return found


def pods(overlay: str) -> Iterator[tuple[str, Object]]:
    """The name and the pod template of everything that runs."""
    for each in of_kind(overlay, "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        yield each["metadata"]["name"], spec["template"]


def pod(overlay: str, kind: str, name: str) -> Object:
    spec: Object = one(overlay, kind, name)["spec"]["template"]["spec"]
    return spec


def containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def environment(overlay: str, container: Object) -> dict[str, str]:
    """What the overlay itself gives the container: of its ConfigMaps, then its own. Not what the cluster fills in."""
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        given |= one(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return given | {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


SECRETS = {
    "ECI_SECRET_KEY": "for tests: 0123456789 abcdefghijklmnop",
    "ECI_TOKEN_KEY": "",
    "ECI_WEBHOOK_SECRETS": "for tests: 0123456789 qrstuvwxyz",
    "ECI_METRICS_TOKEN": "for tests: 0123456789 KLMNOPQRST",
    "ECI_GATEWAY_SECRET": "for tests: 0123456789 ABCDEFGHIJ",
    "EMAIL_HOST_PASSWORD": "for tests",
    "ECI_REDIS_URL": "redis://:password@redis:6379/0",
    "ECI_PLATFORM_DATABASE_URL": "postgres://eci:password@postgres-main:5432/platform_db",
    "ECI_CATALOG_DATABASE_URL": "postgres://eci:password@postgres-main:5432/catalog_db",
    "ECI_INVENTORY_DATABASE_URL": "postgres://eci:password@postgres-main:5432/inventory_db",
    "ECI_CUSTOMERS_DATABASE_URL": "postgres://eci:password@postgres-main:5432/customer_db",
    "ECI_PAYMENTS_DATABASE_URL": "postgres://eci:password@postgres-main:5432/payment_db",
    "ECI_NOTIFICATIONS_DATABASE_URL": "postgres://eci:password@postgres-main:5432/notifications",
    "ECI_ORDERS_DATABASE_URL": "mysql://eci:password@mysql:3306/order_db",
    "ECI_SHIPPING_DATABASE_URL": "mysql://eci:password@mysql:3306/shipping_db",
}
"""Stand for what the Secret ``eci`` holds: one PostgreSQL and one MySQL server, as everywhere in the documentation."""
