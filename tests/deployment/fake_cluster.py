"""Stands in for ``kubectl``, ``minikube`` and ``docker`` on the PATH of k8s/*.sh; by which of the names it is called.

There is no cluster where tests run. This one keeps what it was given in a file, writes down every call, renders with
the real ``kubectl kustomize``, and refuses what Kubernetes' API server refuses (api_server.py) and what it is told to
refuse (FAKE_REFUSE: words of a command line, or ``failed-job``).

Every call is a process, and a script makes fifty: what is imported here is next to nothing.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = os.environ.get("FAKE_CLUSTER", "")
READS = {"get", "logs", "rollout", "kustomize", "config", "status", "ip"}
REFUSED = os.environ.get("FAKE_REFUSE", "")


def empty() -> dict[str, Any]:
    return {"running": True, "addons": [], "images": [], "objects": {}, "secrets": {}}


def load(folder: str) -> dict[str, Any]:
    with open(f"{folder}/state", "rb") as file:
        return dict(marshal.load(file))


def save(folder: str, state: dict[str, Any]) -> None:
    with open(f"{folder}/state", "wb") as file:
        marshal.dump(state, file)


def main() -> int:
    program, words = os.path.basename(sys.argv[0]), _without_where(sys.argv[1:])
    line = " ".join([program, *words])
    with open(f"{FOLDER}/calls", "a") as calls:
        calls.write(line + "\n")
    if REFUSED and REFUSED in line:
        print(f"refused: {line}", file=sys.stderr)
        return 1
    state = load(FOLDER)
    code = {"kubectl": _kubectl, "minikube": _minikube, "docker": _docker}[program](state, words)
    if words[0] not in READS:
        save(FOLDER, state)
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
            import json

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
            folder = source.partition("=")[2]
            state["secrets"][name] = {file: _read(f"{folder}/{file}") for file in os.listdir(folder)}
        case ["create", "secret", "tls", name, cert, key]:
            state["secrets"][name] = {
                "tls.crt": _read(cert.partition("=")[2]),
                "tls.key": _read(key.partition("=")[2]),
            }
        case ["apply", "--filename", path]:
            return _apply(found, _read(path))
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


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _on_nodes(each: dict[str, Any]) -> bool:
    """Whether it is, or is in, the namespace of what runs on every node."""
    return "ecommerce-nodes" in (each["metadata"]["name"], each["metadata"].get("namespace"))


def _apply(found: dict[str, Any], text: str) -> int:
    """As kubectl does: one that is refused does not keep the others from being applied."""
    sys.path.append(os.environ["FAKE_LIBRARIES"])
    import yaml
    from api_server import refusals  # type: ignore[import-not-found]  # beside this file

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
