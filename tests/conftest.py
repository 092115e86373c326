"""What every test shares: all databases, and a client that reads the envelope."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from eci import db
from eci.remembered import forget_everything
from tests.world import ON_SERVERS


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    headers: Any

    @property
    def data(self) -> Any:
        assert self.json["status"] == "success", self.json
        return self.json["data"]

    @property
    def error(self) -> str:
        assert self.json["status"] == "error", self.json
        return str(self.json["error"])

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def details(self) -> Any:
        return self.json["details"]


def settle() -> None:
    """Let relay, recovery and senders work until nothing is due now."""
    from contexts.notifications.tasks import send_due
    from contexts.orders.workflows import recover
    from contexts.payments.tasks import settle_unknown
    from eci.outbox import relay_once

    for _ in range(20):
        settle_unknown()
        moved = relay_once(settings.ECI_CONTEXTS) + recover()
        if not moved:
            break
    send_due()


def due_now() -> None:
    """Let the time come at which everything that waits is looked at again."""
    from contexts.orders.models import Order
    from contexts.payments.models import Payment, Refund

    for model in (Order, Payment, Refund):
        model.objects.exclude(next_at=None).update(next_at=Now())


class Api:
    def __init__(self) -> None:
        self._client = Client(raise_request_exception=False)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        if key is not None:
            headers["Idempotency-Key"] = key
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        media_type = headers.pop("content_type", "application/json")
        response = self._client.generic(method, path, content, media_type, headers=headers)
        return Answer(
            response.status_code, json.loads(response.content) if response.content else None, response.headers
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Answer:
        return self.send("POST", path, body, key=key, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)

    def settle(self) -> None:
        settle()

    def hasten(self) -> None:
        due_now()


@pytest.fixture
def api() -> Api:
    return Api()


LONG = (  # begun first, so that no process is left alone with one of them at the end
    "tests/torture/",
    "tests/outage/test_servers_away",
    "tests/proof/test_model",
    "tests/e2e/test_kill",
    "tests/staff/test_backup",
    "tests/e2e/test_stop",
    "tests/e2e/test_own_servers",
    "tests/proof/test_crowds",  # not beside servers_away, which is held to seconds: a crowd fills any machine
    "tests/monitoring/test_live",
    "tests/outage/",
    "tests/services/test_two",
    "tests/e2e/",
)


NOT_DAILY = (  # long, as what is marked so in its file
    "tests/architecture/test_databases",
    "tests/contexts/payments/test_concurrency",
    "tests/deployment/",
    "tests/monitoring/",
    "tests/staff/test_await_migrations",
)
ON_ANY_ENGINE = (  # the databases make no difference to these: they run in the first of the two runs alone
    "tests/architecture/",
    "tests/bench/",
    "tests/deployment/",
    "tests/e2e/test_bad_input.py::test_bad_bodies",
    "tests/e2e/test_bad_input.py::test_bad_values",
    "tests/e2e/test_closed",
    "tests/e2e/test_concurrency",
    "tests/e2e/test_pages",
    "tests/e2e/test_rolling_restart",
    "tests/e2e/test_stop",
    "tests/e2e/test_traces",
    "tests/kernel/test_fields",
    "tests/kernel/test_parsers",
    "tests/kernel/test_remote",
    "tests/kernel/test_wire",
    "tests/monitoring/test_alertmanager",
    "tests/monitoring/test_rules",
    "tests/outage/test_http_provider",
    "tests/outage/test_provider",
    "tests/security/test_objects",
    "tests/security/test_roles",
    "tests/services/",
    "tests/torture/test_judge",
    "tests/tracing/",
    "tests/web/",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test may use every context's database, each rolled back after it; pure tests and e2e use none of them."""
    if ON_SERVERS:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid.startswith(ON_ANY_ENGINE)])
        items[:] = [item for item in items if not item.nodeid.startswith(ON_ANY_ENGINE)]
    for item in items:
        if item.nodeid.startswith(NOT_DAILY):
            item.add_marker(pytest.mark.long)
        if not ({"no_database", "e2e"} & set(item.keywords)):
            item.add_marker(pytest.mark.django_db(databases="__all__"))
    ranks = {prefix: rank for rank, prefix in enumerate(LONG)}
    items.sort(key=lambda item: next((ranks[prefix] for prefix in LONG if item.nodeid.startswith(prefix)), len(LONG)))


def pytest_collection_finish() -> None:
    """What is loaded stays: the collector need not look through it again and again, nor copy it in forked children."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _gateway_ledger(tmp_path: Any) -> None:
    settings.ECI_SANDBOX_LEDGER = tmp_path / "sandbox.sqlite3"
    settings.ECI_GATEWAY_TIMEOUT = 0.02


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """A test finds no short-lived cache and no pause of the test before it."""
    forget_everything()


@pytest.fixture(autouse=True)
def _nothing_was_sold_out_lately() -> None:
    from contexts.orders import workflows

    workflows._sold_out = {}


class Counted:
    """Statements of a stretch of code, by context; BEGIN, SAVEPOINT and PRAGMA are not counted."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []

    @property
    def total(self) -> int:
        return len(self.log)

    @property
    def commits(self) -> int:
        return sum(sql == "COMMIT" for _, sql in self.log)

    def report(self) -> str:
        by_context = Counter(alias for alias, _ in self.log)
        lines = [f"{self.total} statements, {self.commits} commits: {dict(by_context)}"]
        return "\n".join([*lines, *(f"{alias}: {sql[:100]}" for alias, sql in self.log)])


@pytest.fixture
def statements() -> Any:
    """``with statements() as counted``: counts on the seven contexts' databases. A commit inside the test's own
    transaction is the release of its outermost savepoint."""

    @contextmanager
    def count() -> Iterator[Counted]:
        counted = Counted()

        def recorder(alias: str) -> Any:
            def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
                verb = sql.split(None, 1)[0].upper()
                if verb == "RELEASE" and _outermost(alias):
                    counted.log.append((alias, "COMMIT"))
                elif verb not in ("SAVEPOINT", "RELEASE", "BEGIN", "PRAGMA"):
                    counted.log.append((alias, sql))
                return execute(sql, params, many, context)

            return record

        with ExitStack() as stack:
            for alias in settings.ECI_CONTEXTS:
                stack.enter_context(connections[alias].execute_wrapper(recorder(alias)))
            yield counted

    return count


def _outermost(alias: str) -> bool:
    return db._thread.depths.get(alias) == 1
