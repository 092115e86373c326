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


ONE_AFTER_ANOTHER = """
import json, os, runpy, sys
names, several = json.loads(sys.argv[1])
before = dict(os.environ)
for variables in several:
    os.environ.clear()
    os.environ.update(before | variables)
    try:
        made = runpy.run_module("config.settings")
        print(json.dumps([made[name] for name in names]))
    except Exception as refusal:
        print(json.dumps(str(refusal)))
"""


def told(data_dir: Path, *names: str, of: list[dict[str, str]]) -> list[Any]:
    """Values of the settings for each environment, or what refuses it, in one process: to start takes long."""
    done = run(data_dir, "-c", ONE_AFTER_ANOTHER, json.dumps([names, of]))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_deployment_checks_have_nothing_to_say(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "INFO")
    assert done.returncode == 0, done.stderr


def test_outside_development_it_is_closed_and_its_cookies_are_for_https(tmp_path: Path) -> None:
    names = ("ECI_OPEN", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "CORS_ALLOWED_ORIGINS")
    made, refusal = told(tmp_path, *names, of=[{}, {"ECI_OPEN": "1"}])
    assert made == [False, True, True, []]
    assert "ECI_OPEN" in refusal


def test_a_weak_secret_key_refuses_to_start(tmp_path: Path) -> None:
    keys = ["letmein", "a" * 50, "django-insecure-jY3vNq0ZkT7uB1xWc9sLr5dHf2mPa8e"]
    for weak, message in zip(keys, told(tmp_path, of=[{"ECI_SECRET_KEY": weak} for weak in keys]), strict=True):
        assert "ECI_SECRET_KEY is too weak" in message, weak
        assert weak not in message
    done = run(tmp_path, "-c", "import config.settings", ECI_SECRET_KEY="changeme")
    assert done.returncode != 0
    assert "ECI_SECRET_KEY is too weak" in done.stderr.splitlines()[-1]
    assert "changeme" not in done.stderr


def test_so_do_weak_secrets_of_the_provider(tmp_path: Path) -> None:
    both = [{"ECI_WEBHOOK_SECRETS": f"{STRONG},changeme"}, {"ECI_WEBHOOK_SECRETS": STRONG}]
    refusal, made = told(tmp_path, "ECI_WEBHOOK_SECRETS", of=both)
    assert "ECI_WEBHOOK_SECRETS" in refusal
    assert made == [[STRONG]]


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    file, url = tmp_path / "key", tmp_path / "url"
    file.write_text(f"{STRONG}\n")
    url.write_text("redis://localhost/3")
    from_file = {"ECI_SECRET_KEY_FILE": str(file)}
    several = [from_file, from_file | {"ECI_SECRET_KEY": STRONG}, {"ECI_SECRET_KEY_FILE": str(tmp_path / "nothing")}]
    key, twice, nothing = told(tmp_path, "SECRET_KEY", of=several)
    assert key == [STRONG]
    assert "not both" in twice
    assert "cannot be read" in nothing
    assert told(tmp_path, "ECI_REDIS_URL", of=[{"ECI_REDIS_URL_FILE": str(url)}]) == [["redis://localhost/3"]]


def test_without_one_a_secret_key_is_made_and_kept_for_its_owner(tmp_path: Path) -> None:
    [(first,), again] = told(tmp_path, "SECRET_KEY", of=[{}, {}])
    assert len(first) >= 50
    assert again == [first]
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0
