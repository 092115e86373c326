"""Health checks report which contexts' databases can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from eci.http import health
from eci.remembered import forget_everything
from tests.support.away import without_database

OVERALL = ["/health", "/v1/health", "/actuator/health", "/health/ready"]


def ask(folder: Path, away: list[str], url: str) -> tuple[int, dict[str, object]]:
    forget_everything()  # a second has passed since the last question
    answer = without_database(folder, away, lambda: Client(raise_request_exception=False).get(url))
    return answer.status_code, answer.json()


@pytest.mark.parametrize("url", OVERALL)
def test_healthy_when_every_database_answers(url: str) -> None:
    answer = Client().get(url)
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "contexts": dict.fromkeys(settings.ECI_CONTEXTS, "healthy")}


@pytest.mark.parametrize("url", OVERALL)
def test_degraded_when_one_is_out_of_reach(tmp_path: Path, url: str) -> None:
    status, report = ask(tmp_path, ["orders"], url)
    assert (status, report["status"]) == (200, "degraded")
    assert report["contexts"] == dict.fromkeys(settings.ECI_CONTEXTS, "healthy") | {"orders": "unreachable"}


@pytest.mark.parametrize("url", OVERALL)
def test_503_when_nothing_works(tmp_path: Path, url: str) -> None:
    status, report = ask(tmp_path, list(settings.ECI_CONTEXTS), url)
    assert (status, report["status"]) == (503, "unreachable")


@pytest.mark.parametrize("url", ["/health/orders", "/api/v1/orders/v1/health"])
def test_each_context_answers_for_itself(tmp_path: Path, url: str) -> None:
    assert ask(tmp_path, ["catalog"], url) == (200, {"status": "healthy", "contexts": {"orders": "healthy"}})
    assert ask(tmp_path, ["orders"], url) == (503, {"status": "unreachable", "contexts": {"orders": "unreachable"}})


@pytest.mark.no_database
def test_live_touches_no_database() -> None:
    answer = Client().get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
    assert Client().get("/health").status_code == 503, "this test's guard lets no database be reached"


def test_it_is_known_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.known, "seconds", 60)  # the machine may be slow
    assert Client().get("/health/orders").status_code == 200
    assert without_database(tmp_path, ["orders"], lambda: Client().get("/health/orders")).status_code == 200
    assert ask(tmp_path, ["orders"], "/health/orders")[0] == 503, "ask() lets the second pass"


def test_an_unknown_context_is_a_404() -> None:
    assert Client().get("/health/nothing").status_code == 404


def test_health_is_only_read() -> None:
    assert Client().post("/health").status_code == 405
