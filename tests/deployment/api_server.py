"""What Kubernetes' API server refuses: changes of what cannot be changed, names and labels that cannot be, mounts of
nothing, requests above limits (``refusals``), and fields that it does not know (``unknown``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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
