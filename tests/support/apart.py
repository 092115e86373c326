"""``pytest -p tests.support.apart …``: contexts call each other, and hand on events, as if in processes of their own.

Arguments, answers, refusals and tokens are written, sent as HTTP through the whole application, and read again; only
the socket is missing, so that both sides stand in the test's own transaction and any test can be run this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from eci.identity import keys

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

KEY = keys.new()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """How many statements a call costs, and what is left while a database is away, is asserted where both sides are
    one process: tokens cost some more statements, and are kept in a database, too."""
    left_out = [item for item in items if isinstance(item, pytest.Function) and _is_of_one_process(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_of_one_process(item: pytest.Function) -> bool:
    named = {*item.fixturenames, *item.function.__code__.co_names}
    return bool({"statements", "CaptureQueriesContext", "without_database"} & named)


@pytest.fixture(autouse=True)
def _apart(request: pytest.FixtureRequest, settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if "e2e" in request.keywords:
        yield
        return
    from eci.calls import remote  # a plugin is loaded before Django is set up

    callers = tmp_path_factory.mktemp("callers")
    (callers / "eci.pem").write_bytes(keys.public_pem(KEY.public_key()))
    settings.ECI_SERVICE_KEY = keys.private_pem(KEY).decode()
    settings.ECI_SERVICE_CALLERS_DIR = callers
    settings.ECI_SERVICES = dict.fromkeys(settings.ECI_CONTEXTS, "http://testserver")
    transport = httpx.WSGITransport(app=_keeping_connections(get_wsgi_application()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "_http", lambda process: httpx.Client(transport=transport))
        yield


def _keeping_connections(application: WSGIApplication) -> WSGIApplication:
    """The connections are the test's. Django's test client has them closed again by whatever request comes within its
    own, which PostgreSQL does in the middle of the test's transaction."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for signal in (request_started, request_finished):
            signal.disconnect(close_old_connections)
        return application(environ, start_response)

    return call
