"""Calls made from the OpenAPI document, with their answers held against it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import schemathesis
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
SEED = 20_260_131


@dataclass(frozen=True)
class Finding:
    call: str
    problem: str

    def __str__(self) -> str:
        return f"{self.call}\n    {self.problem}"


@contextlib.contextmanager
def _same_connections() -> Iterator[None]:
    """Requests made through the WSGI application must not close the connections of the test's transactions."""
    ends = (signals.request_started, signals.request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in ends:
            signal.connect(close_old_connections)


class Enough(Exception):
    """The operation has been found wanting."""


@_same_connections()
def api() -> Any:
    return schemathesis.openapi.from_wsgi("/schema?format=json", WSGIHandler())


def operations(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        yield found.ok()


@_same_connections()
def fuzz(operation: Any, *, token: str | None, known: dict[str, list[Any]], examples: int, seed: int) -> list[Finding]:
    """Call the operation with so many requests, most of them as documented. ``known``: things there are, by field."""
    findings: list[Finding] = []
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    documented = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    otherwise = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    documented_twice_as_often = st.one_of(documented, documented, otherwise) if _has_input(operation) else documented

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @hypothesis.given(case=documented_twice_as_often, data=st.data())
    def call(case: Case, data: st.DataObject) -> None:
        case.path_parameters = _with_known(case.path_parameters, known, data)
        case.query = _with_known(case.query, known, data)
        if isinstance(case.body, dict):
            left_out = data.draw(st.sets(st.sampled_from(sorted(case.body)), max_size=4)) if case.body else ()
            body = {name: inner for name, inner in case.body.items() if name not in left_out}
            case.body = _with_known(body, known, data)
        ours = {"authorization", "idempotency-key"}  # a key beside another one in the body would be all that is refused
        case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() not in ours}
        try:
            case.call_and_validate(headers=headers, checks=CHECKS)
        except (
            Exception,
            BaseExceptionGroup,
        ) as problem:  # one finding for each kind of failure: the others would be its repetition
            findings.append(Finding(f"{case.method} {case.formatted_path}", str(problem)[:1500]))
            if len(findings) == 3:
                raise Enough from None

    logging.disable(logging.CRITICAL)
    try:
        with contextlib.suppress(Enough, hypothesis.errors.Flaky, hypothesis.errors.Unsatisfiable):
            call()
    finally:
        logging.disable(logging.NOTSET)
    return findings


def _has_input(operation: Any) -> bool:
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def _with_known(value: Any, known: dict[str, list[Any]], data: st.DataObject) -> Any:
    """Mostly name things that there are: invented ones are hardly ever met."""
    if isinstance(value, dict):
        return {
            name: data.draw(st.sampled_from([*known[name], *known[name], inner]))
            if name in known
            else _with_known(inner, known, data)
            for name, inner in value.items()
        }
    return [_with_known(inner, known, data) for inner in value] if isinstance(value, list) else value
