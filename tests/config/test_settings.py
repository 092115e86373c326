"""Settings that matter for safety, made from the environment, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine]
STRONG = "jY3-vNq0ZkT7uB1xWc9sLr5dHf2mPa8e"


def run(data_dir: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECI_", "DJANGO_"))}
    environment = kept | {"ECI_DATA_DIR": str(data_dir)} | variables
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True)


def told(data_dir: Path, *names: str, **variables: str) -> Any:
    script = "import json, sys, config.settings as s; print(json.dumps([getattr(s, n) for n in sys.argv[1:]]))"
    done = run(data_dir, "-c", script, *names, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(data_dir: Path, **variables: str) -> str:
    done = run(data_dir, "-c", "import config.settings", **variables)
    assert done.returncode != 0
    return done.stderr.strip().splitlines()[-1]


def test_the_deployment_checks_have_nothing_to_say(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "INFO")
    assert done.returncode == 0, done.stderr


def test_outside_development_it_is_closed_and_its_cookies_are_for_https(tmp_path: Path) -> None:
    names = ("ECI_OPEN", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "CORS_ALLOWED_ORIGINS")
    assert told(tmp_path, *names) == [False, True, True, []]
    assert "ECI_OPEN" in refused(tmp_path, ECI_OPEN="1")


@pytest.mark.parametrize("weak", ["changeme", "letmein", "a" * 50, "django-insecure-jY3vNq0ZkT7uB1xWc9sLr5dHf2mPa8e"])
def test_a_weak_secret_key_refuses_to_start(tmp_path: Path, weak: str) -> None:
    message = refused(tmp_path, ECI_SECRET_KEY=weak)
    assert "ECI_SECRET_KEY is too weak" in message
    assert weak not in message


def test_so_do_weak_secrets_of_the_provider(tmp_path: Path) -> None:
    assert "ECI_WEBHOOK_SECRETS" in refused(tmp_path, ECI_WEBHOOK_SECRETS=f"{STRONG},changeme")
    assert told(tmp_path, "ECI_WEBHOOK_SECRETS", ECI_WEBHOOK_SECRETS=STRONG) == [[STRONG]]


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{STRONG}\n")
    assert told(tmp_path, "SECRET_KEY", ECI_SECRET_KEY_FILE=str(file)) == [STRONG]
    assert "not both" in refused(tmp_path, ECI_SECRET_KEY_FILE=str(file), ECI_SECRET_KEY=STRONG)
    assert "cannot be read" in refused(tmp_path, ECI_SECRET_KEY_FILE=str(tmp_path / "nothing"))
    file.write_text("redis://localhost/3")
    assert told(tmp_path, "ECI_REDIS_URL", ECI_REDIS_URL_FILE=str(file)) == ["redis://localhost/3"]


def test_without_one_a_secret_key_is_made_and_kept_for_its_owner(tmp_path: Path) -> None:
    (first,) = told(tmp_path, "SECRET_KEY")
    assert len(first) >= 50
    assert told(tmp_path, "SECRET_KEY") == [first]
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
