"""Compose and Kubernetes give monitoring/'s files the names, the secrets and the room that they count on."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deployment.monitoring.expressions import MONITORING, PROMETHEUS
from tests.deployment.rendered import MONITORING as MONITORED
from tests.deployment.rendered import NODES, PRODUCT, containers, of_kind, one, pod, pods
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

FILES = [ROOT / "docker" / name for name in ("compose.yml", "compose.monitoring.yml")]
SERVICES: dict[str, Any] = {
    name: service for file in FILES for name, service in yaml.safe_load(file.read_text())["services"].items()
}


def scraped() -> set[str]:
    """The names that Prometheus looks up."""
    names = set()
    for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]:
        for place in job.get("static_configs", []):
            names |= {target.partition(":")[0] for target in place["targets"]}
        for place in job.get("dns_sd_configs", []):
            names |= set(place["names"])
    return names


def test_every_name_that_is_scraped_is_one_in_both_deployments() -> None:
    aliases = {name for each in SERVICES.values() for name in _aliases(each)}
    assert scraped() <= SERVICES.keys() | aliases
    for product, monitored in zip(PRODUCT, MONITORED, strict=True):
        there = {each["metadata"]["name"] for overlay in (product, monitored) for each in of_kind(overlay, "Service")}
        assert scraped() <= there
        for each in of_kind(monitored, "Service"):
            if each["spec"].get("type") == "ExternalName":
                name, namespace, *_ = each["spec"]["externalName"].split(".")
                assert one(NODES, "Service", name)["metadata"]["namespace"] == namespace


def _aliases(service: dict[str, Any]) -> list[str]:
    networks = service.get("networks", {})
    return networks["default"]["aliases"] if "default" in networks else []


@pytest.mark.parametrize("program", ["prometheus", "alertmanager"])
def test_every_secret_that_is_named_is_mounted(program: str) -> None:
    named = set(re.findall(r"/run/secrets/(\w+)", (MONITORING / program / f"{program}.yml").read_text()))
    assert named
    assert named <= set(SERVICES[program]["secrets"])


def test_prometheus_keeps_what_the_panels_of_30_days_need() -> None:
    places = [SERVICES["prometheus"]["command"]]
    places += [pod(overlay, "Deployment", "prometheus")["containers"][0]["args"] for overlay in MONITORED]
    for arguments in places:
        (days,) = [int(each[:-1]) for each in re.findall(r"retention\.time=(\d+d)", " ".join(arguments))]
        assert days > 30


def test_both_deployments_run_the_same_images() -> None:
    images = {service["image"] for service in SERVICES.values()}
    for overlay in (PRODUCT[0], MONITORED[0], NODES):
        for _, template in pods(overlay):
            for container in containers(template["spec"]):
                if container["name"] != "eci" and not container["image"].startswith("eci"):
                    assert container["image"] in images, container["name"]
