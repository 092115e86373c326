"""monitoring/ is what Prometheus and Alertmanager take, and every alert has been seen to fire and to keep silent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deployment.monitoring.expressions import (
    DASHBOARDS,
    MONITORING,
    PROMETHEUS,
    RULES,
    alerts,
    dashboard,
    metrics_of,
)
from tests.deployment.monitoring.programs import for_this_alertmanager, needs_prometheus, path_of
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine, pytest.mark.long]

FIXTURES = sorted((Path(__file__).parent / "rules").glob("*.yml"))
ALERTMANAGER = MONITORING / "alertmanager" / "alertmanager.yml"


def said_by(tool: str, *arguments: str | Path) -> str:
    done = subprocess.run([path_of(tool), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_prometheus
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the secret in a file of the test's, for promtool looks whether it is there."""
    token = tmp_path / "token"
    token.write_text("token")
    (tmp_path / "rules").symlink_to(PROMETHEUS.parent / "rules")
    copy = tmp_path / "prometheus.yml"
    copy.write_text(PROMETHEUS.read_text().replace("/run/secrets/metrics_token", str(token)))
    assert f"SUCCESS: {len(RULES)} rule files found" in said_by("promtool", "check", "config", "--lint-fatal", copy)


@needs_prometheus
def test_prometheus_takes_the_rules() -> None:
    said_by("promtool", "check", "rules", "--lint-fatal", *RULES)


@needs_prometheus
def test_the_fixtures_hold() -> None:
    said_by("promtool", "test", "rules", *FIXTURES)


def test_every_alert_fires_on_one_fixture_and_keeps_silent_on_another() -> None:
    """``burn`` tells the alerts of one name apart."""
    fired, silent = set(), set()
    known = {(alert["alert"], alert["labels"].get("burn")) for alert in alerts()}
    for path in FIXTURES:
        for group in yaml.safe_load(path.read_text())["tests"]:
            fires = set()
            for test in group["alert_rule_test"]:
                expected = {(test["alertname"], one["exp_labels"].get("burn")) for one in test["exp_alerts"]}
                fires |= expected
                if not any((name, burn) in fires for name, burn in known if name == test["alertname"]):
                    silent |= {one for one in known if one[0] == test["alertname"]}
                silent |= {one for one in known if one[0] == test["alertname"]} - fires if fires else set()
            fired |= fires
    assert known - fired == set(), "never seen to fire"
    assert known - silent == {("Watchdog", None)}, "never seen to keep silent"
    assert fired - known == set()


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    for alert in alerts():
        severities = ("none",) if alert["alert"] == "Watchdog" else ("critical", "warning")
        assert alert["labels"]["severity"] in severities, alert["alert"]
        assert alert["annotations"]["summary"]
        page = ROOT / alert["annotations"]["runbook_url"]
        assert page.stem == alert["alert"]
        text = page.read_text()
        for heading in (f"# {alert['alert']}", "## Look", "## Do"):
            assert heading in text, f"{page} has no {heading}"
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == {alert["alert"] for alert in alerts()}


@needs_prometheus
def test_alertmanager_takes_its_configuration_and_routes_by_severity(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(for_this_alertmanager(ALERTMANAGER.read_text()))
    said_by("amtool", "check-config", config)
    for labels, receiver in (
        (["severity=critical"], "on-call"),
        (["severity=warning"], "operators"),
        (["severity=none", "alertname=Watchdog"], "dead-mans-switch"),
    ):
        assert said_by("amtool", "config", "routes", "test", f"--config.file={config}", *labels).strip() == receiver


def test_the_dashboard_has_its_nine_panels() -> None:
    shown = dashboard("ecommerce.json")
    assert shown["title"] == "E-Commerce Microservices Dashboard"
    assert [panel["title"] for panel in shown["panels"]] == [
        "Service Status Overview",
        "Orders per Minute",
        "Payment Success Rate",
        "Inventory Reservations",
        "Average Order Value",
        "HTTP Request Rate",
        "Response Time (95th percentile)",
        "Database Connection Pool Usage",
        "Low Stock Alerts",
    ]


@pytest.mark.parametrize("name", [path.name for path in DASHBOARDS])
def test_panels_stand_beside_each_other_and_know_their_source(name: str) -> None:
    files = [yaml.safe_load(path.read_text()) for path in (MONITORING / "grafana/provisioning/datasources").iterdir()]
    provisioned = {each["type"]: each["uid"] for file in files for each in file["datasources"]}
    kind = "loki" if name == "logs.json" else "prometheus"
    source = {"type": kind, "uid": provisioned[kind]}
    panels = dashboard(name)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == source
        assert panel["targets"] and all(target["datasource"] == source for target in panel["targets"])
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, f"{panel['title']} covers another"
        taken |= cells


def test_the_names_in_an_expression_are_found() -> None:
    expr = 'sum by (alias) (rate(a_total{x="b"}[5m])) / on (slo) slo:c:d and absent(up{job="web"}) or vector(0) > 1'
    assert metrics_of(expr) == {"a_total", "slo:c:d", "up"}
