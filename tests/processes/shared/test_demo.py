"""The demonstration's scripts, against the product that they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import world
from tests.support.demo import CALLS, WORKFLOW, run
from tests.support.product import Product, free_port, running
from tests.support.programs import program
from tests.support.world import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.any_engine, pytest.mark.long]

SEGMENTS = [
    "Introduction",
    "Container set-up",
    "Inter-service communication",
    "Databases",
    "Kubernetes",
    "Monitoring",
    "Closing",
]
PROMISED = """
🚀 Starting Complete E-commerce Workflow Demo
===============================================
✅ Catalog Service: healthy
✅ Inventory Service: healthy
✅ Payment Service: healthy
✅ Product created with ID: N
✅ Inventory added: 50 units in WH001
✅ Reservation successful!
✅ Payment processed successfully!
✅ Inventory shipped successfully!
✅ Shipment record created!
✅ Order confirmation sent
✅ Shipping confirmation sent
🎉 WORKFLOW COMPLETED SUCCESSFULLY! 🎉
""".strip().splitlines()
STORIES = ["Out of stock", "Payment declined", "Same key twice", "Same key, other request", "Reservation expired"]


@pytest.fixture(scope="module", autouse=True)
def whole_run(product: Product) -> Iterator[subprocess.Popen[str]]:
    """It waits a minute for a reservation to expire; meanwhile the other tests run."""
    command = [sys.executable, "-S", WORKFLOW, "--base-url", product.url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def test_every_call_is_shown_with_its_answer_and_the_trace(product: Product) -> None:
    done = run(CALLS, "--base-url", f"{product.url}/")
    services = set(re.findall(r"▶ (\w+ Service): \w+ http", done.stdout))
    assert len(services) == 7
    asked, answered = done.stdout.count("\n▶ "), re.findall(r"\n◀ (\d+)  X-Request-ID: [0-9a-f]{32}", done.stdout)
    assert asked == len(answered) > 20 and set(answered) <= {"200", "201"}
    assert re.search(r"Trace id: [0-9a-f]{32}\n", done.stdout)
    assert '"password": "…"' in done.stdout


def test_services_at_ports_of_their_own(product: Product) -> None:
    """Each is asked at its own: where one is missing it is named."""
    ports = ",".join(f"{context}={product.port}" for context in ("catalog", "inventory", "payments", "customers"))
    nobody = free_port()
    at = ("--base-url", f"http://127.0.0.1:{nobody}", "--ports", ports)
    done = run(WORKFLOW, *at, code=1)
    assert "✅ Customer Service: healthy" in done.stdout and "Order Service" not in done.stdout
    assert done.stderr == f"❌ Order Service does not answer at http://127.0.0.1:{nobody}: Connection refused.\n"
    rest = f"orders={product.port},shipping={product.port},notifications={product.port}"
    assert "🎉" in run(CALLS, *at[:3], f"{ports},{rest}").stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--base-url", "shop.example"], "'shop.example' is no address"),
        (["--base-url", "http://127.0.0.1:none"], "Catalog Service does not answer at http://127.0.0.1:none"),
        (["--ports", "catalog"], "not 'catalog'"),
        (["--ports", "desk=1"], "not 'desk=1'"),
        (["--base-url", "http://127.0.0.1:1", "--token", "a\nb"], "The token has characters"),
    ],
)
@pytest.mark.parametrize("script", [WORKFLOW, CALLS])
def test_what_it_cannot_do_is_one_sentence(script: str, options: list[str], says: str) -> None:
    done = run(script, *options, code=1)
    assert says in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_the_guided_demonstration_goes_through_every_segment_and_the_books_stay_sound(product: Product) -> None:
    """The workflow is a part of it, and is run again here."""
    where = ("--base-url", product.url, "--data-dir", str(product.data_dir))
    done = run("demo-script.sh", "--yes", "--local", *where)
    assert re.findall(r"═══ (.+?)  \(", done.stdout) == SEGMENTS
    assert "❌" not in done.stdout + done.stderr and "🎉 END" in done.stdout
    assert "7 databases" in done.stdout
    assert "\norders_placed_total " in done.stdout
    assert "kubectl is not used here" in done.stdout and "No Docker engine is used here" in done.stdout
    assert run("demo/demo-script.sh", "--yes", "--only", "kubernetes", *where).stdout.count("═══ ") == 1
    product.require_sound_books()


def test_the_guided_demonstration_stops_at_what_fails_and_says_so(product: Product) -> None:
    nobody = f"catalog={product.port},orders={product.port},shipping={free_port()}"
    done = run("demo-script.sh", "--yes", "--local", "--base-url", product.url, "--ports", nobody, code=1)
    assert "Shipping Service does not answer" in done.stderr and "DEMO-GUIDE.md" in done.stdout
    for wrong in (["--only", "encore"], ["--token"], ["--fast"], ["--base-url", "here"]):
        refused = run("demo-script.sh", *wrong, code=1)
        assert refused.stderr.startswith("❌") and refused.stderr.count("\n") == 1


def test_a_hundred_requests_at_once(product: Product) -> None:
    done = run("demo/load.py", "--base-url", product.url)
    assert "100 × 200\n" in done.stdout and "✅ 100 requests at once, 100 answers" in done.stdout
    assert "--requests takes" in run("demo/load.py", "--requests", "0", code=1).stderr


def newman(url: str) -> None:
    """The workflow's collection, as Postman runs it."""
    installed = subprocess.run(["tools/install-postman.sh"], cwd=ROOT, capture_output=True, text=True)
    if installed.returncode == 3 and os.environ.get("CI") != "true":
        pytest.skip(installed.stderr.strip())
    assert installed.returncode == 0, installed.stderr
    runner = [program("node", "make lint"), "demo/postman/node_modules/.bin/newman"]
    command = [*runner, "run", "demo/postman/ECI-Workflow.postman_collection.json"]
    done = subprocess.run(
        [*command, "--color", "off", "--env-var", f"baseUrl={url}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") > 40


def test_the_postman_workflow(product: Product) -> None:
    newman(product.url)


def test_a_closed_shop_takes_a_token_and_need_not_be_the_demo_s(seed: world.Seed, tmp_path: Path) -> None:
    admin = {"email": "root@shop.example", "password": "a long enough secret"}
    settings = {"ECI_ADMIN_EMAIL": admin["email"], "ECI_ADMIN_PASSWORD": admin["password"]}
    closed_mode = {"ECI_DEBUG": "0", "ECI_OPEN": "0", "ECI_SECURE_COOKIES": "0"}
    with running(seed, tmp_path / "var", **closed_mode, **settings) as closed:
        at = ("--base-url", closed.url)
        refused = run(WORKFLOW, *at, code=1).stderr
        assert refused.startswith("❌ POST ") and "401" in refused and "--token" in refused
        token = closed.api.post("/v1/staff/token", admin).data["access"]
        assert "🎉 EVERY STORY" in run(WORKFLOW, *at, "--skip-expiry", environment={"ECI_TOKEN": token}).stdout


def test_the_documented_output_is_printed_and_then_every_failure(whole_run: subprocess.Popen[str]) -> None:
    output, _ = whole_run.communicate(timeout=180)
    assert whole_run.returncode == 0, output
    printed = (re.sub(r"ID: \d+", "ID: N", line) for line in output.splitlines())
    missing = [line for line in PROMISED if line not in printed]  # each is looked for behind the one before it
    assert missing == [], output
    assert [line.removeprefix("✅ ").split(":")[0] for line in printed if line.startswith("✅")] == STORIES
