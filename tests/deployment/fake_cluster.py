"""Stands in for ``kubectl``, ``minikube`` and ``docker`` on the PATH of k8s/*.sh; by which of the names it is called.

There is no cluster where tests run. This one keeps what it was given in a file, writes down every call, renders with
the real ``kubectl kustomize``, treats Jobs as unchangeable as Kubernetes does, and refuses what it is told to refuse
(FAKE_REFUSE: words of a command line, or ``failed-job``).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FAKE_CLUSTER", ""))
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
        case ["get", "persistentvolumeclaim" | "deployment" | "namespace" as kind, name]:
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
        case ["rollout", "status", "deployment/ingress-nginx-controller", _]:
            return 0 if "ingress" in state["addons"] else 1
        case ["rollout", "status", deployment, _]:
            return 0 if deployment in found else 1
        case ["delete", "namespace", "ecommerce", _]:
            state |= {"objects": {name: found[name] for name in found if _on_nodes(found[name])}, "secrets": {}}
        case ["delete", "namespace", "ecommerce-nodes", _]:
            state["objects"] = {name: found[name] for name in found if not _on_nodes(found[name])}
        case ["delete", job]:
            del found[job.replace("job.batch", "job")]
        case _:
            raise SystemExit(f"kubectl {words}: unknown")
    return 0


def _on_nodes(each: dict[str, Any]) -> bool:
    """Whether it is, or is in, the namespace of what runs on every node."""
    return "ecommerce-nodes" in (each["metadata"]["name"], each["metadata"].get("namespace"))


def _apply(found: dict[str, Any], text: str) -> int:
    sys.path.append(os.environ["FAKE_LIBRARIES"])  # each call is a process: only this one needs any
    import yaml

    for each in yaml.load_all(text, yaml.CSafeLoader):
        name = f"{each['kind'].lower()}/{each['metadata']['name']}"
        if each["kind"] == "Job" and found.get(name, each)["spec"] != each["spec"]:
            print(f"{name}: field is immutable", file=sys.stderr)
            return 1
        found[name] = each
    return 0


if __name__ == "__main__":
    sys.exit(main())
