"""The alerts, rules and panels of monitoring/, and the metrics that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.world import ROOT

MONITORING = ROOT / "monitoring"
PROMETHEUS = MONITORING / "prometheus" / "prometheus.yml"
RULES = sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
SERVERS = "servers"  # the name of the rules and the dashboard that ask exporters, not the product

_NO_METRICS = re.compile(
    r"\"[^\"]*\""  # strings
    r"|\{[^}]*\}"  # matchers
    r"|\[[^\]]*\]"  # ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\w|\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset"}


def rules(paths: Iterable[Path] = RULES) -> list[dict[str, Any]]:
    """Alerts and recording rules."""
    files = [yaml.safe_load(path.read_text()) for path in paths]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    dashboard: str
    panel: str
    expr: str


def dashboard(name: str) -> Any:
    return json.loads((MONITORING / "grafana" / "dashboards" / name).read_text())


def queries(paths: Iterable[Path] = DASHBOARDS) -> Iterator[Query]:
    """What panels ask Prometheus."""
    for path in paths:
        for panel in dashboard(path.name)["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == "prometheus":
                    yield Query(path.stem, panel["title"], target["expr"])


def of_the_shop(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.stem != SERVERS]


def of_servers(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.stem == SERVERS]


def metrics_of(expr: str) -> set[str]:
    """The names of the metrics in an expression."""
    return set(_NAME.findall(_NO_METRICS.sub("", expr))) - _WORDS
