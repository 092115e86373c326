"""What a process loads of the contexts that are not its own, and what it says when it cannot work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ImproperlyConfigured

from config.contexts import CONTEXTS, GATEWAY_PORT, GRAFANA_PORT, places, service_name
from tests.support.process import python
from tests.support.routes import routes
from tests.support.world import ROOT

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

LOOK = """
import json, sys
import django
django.setup()
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core import checks
from django.core.management import get_commands
from django.urls import get_resolver
from config.celery import app
from config.wsgi import application
admin.autodiscover()
app.loader.import_default_modules()
resolver = get_resolver()
print(json.dumps({
    "modules": [name for name in sys.modules if name.startswith("contexts.")],
    "apps": [config.label for config in apps.get_app_configs() if config.name.startswith("contexts.")],
    "databases": sorted(settings.DATABASES),
    "routes": sorted({str(one.urlconf_module.__name__) for one in resolver.url_patterns
                      if hasattr(one, "urlconf_module") and hasattr(one.urlconf_module, "__name__")}),
    "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
    "beat": sorted(app.conf.beat_schedule),
    "queue": app.conf.task_default_queue,
    "admin": sorted({model._meta.app_label for model in admin.site._registry}),
    "errors": [str(error) for error in checks.run_checks() if error.is_serious()],
    "internal": any(str(one.pattern).startswith("internal/") for one in resolver.url_patterns),
    "speaks": sorted({"pydantic", "httpx"} & set(sys.modules)),
}))
"""


def look(folder: Path, services: str, **env: str) -> dict[str, Any]:
    run = python("-c", LOOK, folder=folder, ECI_SERVICES=services, **env)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def foreign(modules: list[str], *own: str) -> list[str]:
    """Modules of other contexts that are not public."""
    return [
        name
        for name in modules
        for context, *inside in [name.removeprefix("contexts.").split(".")]
        if context not in own and inside and inside[0] != "public"
    ]


@pytest.mark.e2e
def test_a_process_of_orders_alone(tmp_path: Path) -> None:
    found = look(tmp_path, "*=http://elsewhere:8000,orders=local")
    assert foreign(found["modules"], "orders") == []
    assert "contexts.catalog.public.contracts" in found["modules"]
    assert found["apps"] == ["orders"]
    assert found["databases"] == ["default", "orders"]
    assert [name for name in found["routes"] if name.startswith("contexts.")] == ["contexts.orders.http.urls"]
    assert found["tasks"] == [
        "orders.count",
        "orders.prune",
        "orders.recover",
        "orders.roll_up",
        "platform.mail_staff",
        "platform.prune",
        "staff.check_up",
    ]
    assert found["beat"] == found["tasks"]
    assert found["queue"] == "orders"
    assert {"orders"} == set(found["admin"]) & set(CONTEXTS)
    assert found["errors"] == []


@pytest.mark.e2e
def test_a_process_of_inventory_and_payments(tmp_path: Path) -> None:
    services = "*=http://elsewhere:8000,inventory=local,payments=local,shipping=none"
    found = look(tmp_path, services)
    assert foreign(found["modules"], "inventory", "payments") == []
    assert (found["apps"], found["queue"]) == (["inventory", "payments"], "inventory-payments")
    assert found["databases"] == ["default", "inventory", "payments"]
    assert "staff.check_up" not in found["beat"], "it looks across contexts, and so is done where orders runs"
    assert found["errors"] == []


@pytest.mark.e2e
def test_an_uncut_process_has_no_internal_endpoint_and_loads_nothing_for_it(tmp_path: Path) -> None:
    found = look(tmp_path, "")
    assert set(found["apps"]) == set(CONTEXTS)
    assert (found["internal"], found["speaks"]) == (False, [])
    (tmp_path / "callers").mkdir()
    script = "import django; django.setup(); from django.urls import resolve; print(resolve('/internal/v1/orders/x'))"
    assert "internal/v1/" in python("-c", script, folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ("nothing=local", "no context 'nothing'"),
        ("orders", "a context is 'local', 'none' or an http"),
        ("orders=elsewhere:8000", "a context is 'local', 'none' or an http"),
        ("orders=http://", "a context is 'local', 'none' or an http"),
        ("orders=local,orders=local", "named twice"),
        ("*=http://elsewhere", "none is local"),
        ("*=none,catalog=local,orders=local", "orders calls customers"),
        ("inventory=none", "orders calls inventory"),
        ("orders=none", "notifications calls orders"),
        ("*=http://elsewhere,payments=local,orders=none", "payments sends its events to orders"),
    ],
)
def test_a_deployment_that_cannot_work_is_refused_in_words(services: str, told: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=told):
        places(services)


@pytest.mark.e2e
def test_a_process_does_not_start_with_it(tmp_path: Path) -> None:
    run = python("-c", "import config.settings", folder=tmp_path, ECI_SERVICES="inventory=none")
    assert run.returncode != 0
    assert "ECI_SERVICES gives no place to contexts that this process needs: orders calls inventory" in run.stderr


@pytest.mark.e2e
def test_a_process_that_could_verify_no_access_token_does_not_start(tmp_path: Path) -> None:
    run = python("-c", "import config.settings", folder=tmp_path, ECI_SERVICES="*=none,catalog=local")
    assert "Access tokens cannot be verified" in run.stderr
    env = {"ECI_SERVICES": "*=none,catalog=local", "ECI_TOKEN_PUBLIC_KEYS": "-----BEGIN PUBLIC KEY-----"}
    assert python("-c", "import config.settings", folder=tmp_path, **env).returncode == 0


def test_places_and_names() -> None:
    assert set(places("").values()) == {"local"}
    assert places("inventory=http://stock:8000/")["inventory"] == "http://stock:8000"
    assert service_name(places("")) == "eci"
    assert service_name(places("*=http://a,payments=local,inventory=local")) == "inventory-payments"


def test_no_two_services_share_a_name_or_a_port() -> None:
    names = [context.service for context in CONTEXTS.values()]
    ports = [port for context in CONTEXTS.values() for port in (context.port, context.demo_port)]
    assert len(set(names)) == len(CONTEXTS)
    assert len({*ports, GATEWAY_PORT, GRAFANA_PORT}) == 2 * len(CONTEXTS) + 2


def test_the_paths_of_a_context_are_those_it_serves() -> None:
    served: dict[str, set[str]] = {}
    for route in routes():
        served.setdefault(route.context, set()).add(route.path.split("/")[2])
    everywhere = {"imports"}  # every context that has imports; others redirect to it
    assert {name: paths - everywhere for name, paths in served.items()} == {
        name: set(context.paths) - everywhere for name, context in CONTEXTS.items()
    }
    assert {name for name, paths in served.items() if paths & everywhere} == {
        name for name, context in CONTEXTS.items() if context.imports
    }


def test_prometheus_has_a_job_for_each_service() -> None:
    jobs = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text())["scrape_configs"]
    found = {
        job["job_name"]: (job["metrics_path"], job["static_configs"][0]["targets"])
        for job in jobs
        if job["job_name"].endswith("-service")
    }
    assert found == {
        context.service: (f"/metrics/{name}", [f"{context.service}:8000"]) for name, context in CONTEXTS.items()
    }


def test_the_docs_have_the_same_table() -> None:
    rows = [line for line in (ROOT / "docs/services.md").read_text().splitlines() if "-service` |" in line]
    for context, row in zip(CONTEXTS.values(), rows, strict=True):
        name, service, port, inside, demo, paths = (cell.strip() for cell in row.strip("|").split("|"))
        assert (name, service) == (context.name, f"`{context.service}`")
        assert (port, inside, demo) == (str(context.port), str(context.cluster_port), str(context.demo_port))
        assert paths.partition(";")[0] == ", ".join(f"`{path}`" for path in context.paths)


def test_what_a_context_calls_is_what_its_code_imports() -> None:
    """So that a process which lacks a place for one of them is told at its start, and not by its first order."""
    for name, context in CONTEXTS.items():
        source = "\n".join(path.read_text() for path in (ROOT / "contexts" / name).rglob("*.py"))
        called = {other for other in CONTEXTS if other != name and f"contexts.{other}.public.api" in source}
        assert set(context.calls) == called, name


@pytest.mark.e2e
def test_commands_that_look_across_say_what_they_cannot_reach(tmp_path: Path) -> None:
    script = """
import django
django.setup()
from django.core.management import CommandError, call_command
for command in (["audit"], ["reconcile"], ["settle", "2026-01-01"], ["orders", "status"]):
    try:
        call_command(*command)
    except CommandError as error:
        print(error)
"""
    env = {"ECI_SERVICES": "*=none,catalog=local", "ECI_TOKEN_PUBLIC_KEYS": "-"}
    run = python("-c", script, folder=tmp_path, **env)
    told = run.stdout.splitlines()
    assert len(told) == 4, run.stdout + run.stderr
    for line, context in zip(told, ("inventory", "inventory", "payments", "orders"), strict=True):
        assert f"ECI_SERVICES does not say where {context} runs." in line
