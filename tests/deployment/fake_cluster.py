"""Stands in for ``kubectl``, ``minikube`` and ``docker`` on the PATH of k8s/*.sh; by which of the names it is called.

There is no cluster where tests run. This one keeps what it was given in a file, writes down every call, renders with
the real ``kubectl kustomize``, and refuses what Kubernetes' API server refuses: changes of what cannot be changed,
names and labels that cannot be, mounts of nothing, requests above limits (``refusals``), and fields that it does not
know (``unknown``). It also refuses what it is told to refuse (FAKE_REFUSE: words of a command line, or ``failed-job``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FAKE_CLUSTER", ""))
READS = {"get", "logs", "rollout", "kustomize", "config", "status", "ip"}
REFUSED = os.environ.get("FAKE_REFUSE", "")


def empty() -> dict[str, Any]:
    return {"running": True, "addons": [], "images": [], "objects": {}, "secrets": {}}


def main() -> int:
    program, words = Path(sys.argv[0]).name, _without_where(sys.argv[1:])
    line = " ".join([program, *words])
    with (FOLDER / "calls").open("a") as calls:
        calls.write(line + "\n")
    if REFUSED and REFUSED in line:
        print(f"refused: {line}", file=sys.stderr)
        return 1
    file = FOLDER / "state.json"
    state = json.loads(file.read_text())
    code = {"kubectl": _kubectl, "minikube": _minikube, "docker": _docker}[program](state, words)
    if words[0] not in READS:
        file.write_text(json.dumps(state, sort_keys=True))
    return code


def _without_where(words: list[str]) -> list[str]:
    while words and words[0] in ("--context", "--namespace", "--profile"):
        words = words[2:]
    return words


def _docker(state: dict[str, Any], words: list[str]) -> int:
    if words[0] == "build":
        print("sha256:" + os.environ["FAKE_IMAGE"] * 8)
    return 0


def _minikube(state: dict[str, Any], words: list[str]) -> int:
    match words:
        case ["status"]:
            return 0 if state["running"] else 7
        case ["addons", "list", "--output", "json"]:
            named = {name: {"Profile": "minikube", "Status": "disabled"} for name in ("ingress", "metrics-server")}
            print(json.dumps(named | {name: {"Profile": "minikube", "Status": "enabled"} for name in state["addons"]}))
        case ["addons", "enable", name]:
            state["addons"].append(name)
        case ["image", "ls"]:
            print("\n".join(f"docker.io/library/{name}" for name in state["images"]))
        case ["image", "load", name]:
            state["images"].append(name)
        case ["ip"]:
            print("192.168.49.2")
        case _:
            raise SystemExit(f"minikube {words}: unknown")
    return 0


def _kubectl(state: dict[str, Any], words: list[str]) -> int:
    found = state["objects"]
    match words:
        case ["get", "secret", name]:
            return 0 if name in state["secrets"] else 1
        case ["get", ("persistentvolumeclaim" | "deployment" | "namespace" | "horizontalpodautoscaler") as kind, name]:
            return 0 if f"{kind}/{name}" in found else 1
        case ["get", "poddisruptionbudget" as kind, name]:
            return 0 if f"{kind}/{name}" in found else 1
        case ["get", "job", name, "--output", _]:
            if f"job/{name}" not in found:
                return 1
            print("FailureTarget Failed" if "failed-job" in REFUSED else "SuccessCriteriaMet Complete")
        case ["get", "jobs", "-l", _, "--output", "name"]:
            print("\n".join(f"job.batch/{name[4:]}" for name in found if name.startswith("job/")))
        case ["get", "pods", *_]:
            print("NAME    READY   STATUS\nsome-1  0/1     CrashLoopBackOff")
        case ["logs", *_]:
            print("its last words")
        case ["create", "secret", "generic", name, source]:
            folder = Path(source.partition("=")[2])
            state["secrets"][name] = {file.name: file.read_text() for file in folder.iterdir()}
        case ["create", "secret", "tls", name, cert, key]:
            state["secrets"][name] = {
                "tls.crt": Path(cert.partition("=")[2]).read_text(),
                "tls.key": Path(key.partition("=")[2]).read_text(),
            }
        case ["apply", "--filename", path]:
            return _apply(found, Path(path).read_text())
        case ["apply", "--kustomize", path]:
            return _apply(found, os.popen(f"'{os.environ['REAL_KUBECTL']}' kustomize '{path}'").read())
        case ["kustomize", path]:
            return os.spawnl(os.P_WAIT, os.environ["REAL_KUBECTL"], "kubectl", "kustomize", path)
        case ["config", "current-context"]:
            print("production")
        case ["rollout", "status", "deployment/ingress-nginx-controller", _]:
            return 0 if "ingress" in state["addons"] else 1
        case ["rollout", "status", deployment, _]:
            return 0 if deployment in found else 1
        case ["delete", "namespace", "ecommerce", _]:
            state |= {"objects": {name: found[name] for name in found if _on_nodes(found[name])}, "secrets": {}}
        case ["delete", "namespace", "ecommerce-nodes", _]:
            state["objects"] = {name: found[name] for name in found if not _on_nodes(found[name])}
        case ["delete", "secret", name]:
            del state["secrets"][name]
        case ["delete", one]:
            del found[one.replace("job.batch", "job")]
        case _:
            raise SystemExit(f"kubectl {words}: unknown")
    return 0


def _on_nodes(each: dict[str, Any]) -> bool:
    """Whether it is, or is in, the namespace of what runs on every node."""
    return "ecommerce-nodes" in (each["metadata"]["name"], each["metadata"].get("namespace"))


def _apply(found: dict[str, Any], text: str) -> int:
    """As kubectl does: one that is refused does not keep the others from being applied."""
    sys.path.append(os.environ["FAKE_LIBRARIES"])  # each call is a process: only this one needs any
    import yaml

    code = 0
    for each in filter(None, yaml.load_all(text, yaml.CSafeLoader)):
        name = f"{each['kind'].lower()}/{each['metadata']['name']}"
        old = found.get(name)
        if old and _on_nodes(old) != _on_nodes(each):  # two namespaces may have the same name
            old = None
        if refused := list(refusals(old, each)):
            print(f"The {each['kind']} {each['metadata']['name']} is invalid: {'; '.join(refused)}", file=sys.stderr)
            code = 1
        else:
            found[name] = each
    return code


# -- what a real API server refuses -----------------------------------------------------------------------------------

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LONGEST = {"Job": 63, "CronJob": 52, "Service": 63, "Namespace": 63}
_MAY_CHANGE = {"parallelism", "suspend", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit"}


def refusals(old: Any, new: Any) -> Iterator[str]:
    """Why ``new`` may not be created, or may not replace ``old``."""
    kind, name, spec = new["kind"], new["metadata"]["name"], new.get("spec", {})
    pattern = _LABEL if kind in ("Service", "Namespace") else _SUBDOMAIN
    if not pattern.fullmatch(name) or len(name) > _LONGEST.get(kind, 253):
        yield f"metadata.name: '{name}'"
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    for where in [new["metadata"], *([template["metadata"]] if template else [])]:
        yield from _labels(where.get("labels", {}))
    if template:
        yield from _pod(template["spec"])
    wanted = spec["selector"]["matchLabels"] if kind in ("Deployment", "StatefulSet", "DaemonSet") else {}
    if wanted and not wanted.items() <= template["metadata"]["labels"].items():
        yield "spec.template.metadata.labels: do not match the selector"
    if old:
        yield from _changes(kind, old.get("spec", {}), spec)


def _labels(labels: dict[str, Any]) -> Iterator[str]:
    for key, value in labels.items():
        prefix, _, name = key.rpartition("/")
        if (prefix and not _SUBDOMAIN.fullmatch(prefix)) or not name or not _VALUE.fullmatch(name) or len(name) > 63:
            yield f"label '{key}'"
        if not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > 63:
            yield f"label {key}: '{value}'"


def _pod(pod: dict[str, Any]) -> Iterator[str]:
    volumes = [volume["name"] for volume in pod.get("volumes", [])]
    if len(set(volumes)) < len(volumes):
        yield "volumes: a name twice"
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        if not container.get("image"):
            yield "containers.image: required"
        paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        if len(set(paths)) < len(paths):
            yield "volumeMounts.mountPath: one twice"
        yield from (
            f"volumeMounts.name: '{mount['name']}' not found"
            for mount in container.get("volumeMounts", [])
            if mount["name"] not in volumes
        )
        resources = container.get("resources", {})
        for what, wanted in resources.get("requests", {}).items():
            if _amount(wanted) > _amount(resources.get("limits", {}).get(what, wanted)):
                yield f"resources.requests: {what} above its limit"


def _amount(quantity: Any) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity)).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}[unit]


def _changes(kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    def kept(spec: dict[str, Any]) -> dict[str, Any]:
        match kind:
            case "Job":
                return {field: value for field, value in spec.items() if field not in _MAY_CHANGE}
            case "Deployment" | "StatefulSet" | "DaemonSet":
                return {"selector": spec["selector"]}
            case "Service":
                return {"clusterIP": spec.get("clusterIP")}
            case "PersistentVolumeClaim":
                return {field: value for field, value in spec.items() if field != "resources"}
            case _:
                return {}

    for field in sorted(kept(old).keys() | kept(new).keys()):
        if kept(old).get(field) != kept(new).get(field):
            yield f"spec.{field}: field is immutable"
    if kind == "PersistentVolumeClaim":
        sizes = [_amount(spec["resources"]["requests"]["storage"]) for spec in (old, new)]
        if sizes[1] < sizes[0]:
            yield "spec.resources.requests.storage: can not be less than before"


def unknown(each: Any) -> Iterator[str]:
    """Fields that Kubernetes does not know, and values of another type: asked apart, because it takes a second."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{error.message}"
