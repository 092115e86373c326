"""Traces, if OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Without one, every function here does nothing.

Our code makes spans by hand, at the few places that all work passes: request, call between contexts, transaction, event
and workflow. The existing instrumentations would record URLs and queries, which can identify people, and a trace for
every idle wake-up of the worker. A span holds ids, names from our code, counts, and an exception's type. A trace begins
with a request, or continues an earlier one; ``span`` only adds to a trace.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from django.db import connections
from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from eci.errors import EciError, Unfinished

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Attributes = Mapping[str, str | int]
Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]

STOP = 3.0  # seconds for sending the last spans: a collector that is away must not delay a stop
_EXPORT = 3.0  # seconds for one batch
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+["`]?(\w+)', re.IGNORECASE)
_NOTHING: AbstractContextManager[None] = nullcontext()
_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def start(role: str) -> None:
    """Begin to export, in a process that will not fork: the exporter has a thread. ``role`` is web or worker."""
    global _provider, _tracer
    told = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if _provider is not None or not told:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or f"eci-{role}"
    resource = Resource.create({SERVICE_NAME: name, "process.pid": os.getpid()})
    exporter = OTLPSpanExporter(timeout=float(os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT", _EXPORT)))
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("eci")
    if os.environ.get("ECI_TRACE_SQL", "").lower() in ("1", "true", "yes", "on"):
        connection_created.connect(_trace_statements)


def is_on() -> bool:
    return _tracer is not None


def stop() -> None:
    """Send the remaining spans, and stop exporting."""
    global _provider, _tracer
    if _provider is None:
        return
    sending = threading.Thread(target=_provider.shutdown, daemon=True)
    sending.start()
    sending.join(STOP)
    connection_created.disconnect(_trace_statements)
    _provider = _tracer = None


# -- the current span -------------------------------------------------------------------------------------------------


def traceparent() -> str:
    """The current span's W3C ``traceparent``, with which another process continues the trace. Empty without a span."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        _propagator.inject(carrier)
    return carrier.get("traceparent", "")


def ids() -> dict[str, str]:
    """The current span's ids, for log lines."""
    if _tracer is None:
        return {}
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(here.trace_id), "span_id": trace.format_span_id(here.span_id)}


def note(attributes: Attributes, *, name: str = "", failed: bool = False) -> None:
    """Add to the current span what is known only at its end."""
    if _tracer is None:
        return
    span = trace.get_current_span()
    span.set_attributes(attributes)
    if name:
        span.update_name(name)
    if failed:
        span.set_status(Status(StatusCode.ERROR))


# -- spans ------------------------------------------------------------------------------------------------------------


def span(name: str, attributes: Attributes | None = None, *, kind: Kind = "INTERNAL") -> AbstractContextManager[None]:
    """A span of the current trace; nothing without one."""
    if _tracer is None or not trace.get_current_span().is_recording():
        return _NOTHING
    return _recorded(_tracer.start_span(name, kind=SpanKind[kind], attributes=attributes))


def continued(
    carried: str, name: str, attributes: Attributes | None = None, *, kind: Kind = "INTERNAL"
) -> AbstractContextManager[None]:
    """A span that continues the trace that ``carried`` names, or begins a new one.

    Inside the same trace, the current span is its parent. Inside another one (a request that cancels the order of an
    earlier request), the two spans are linked.
    """
    if _tracer is None:
        return _NOTHING
    current = trace.get_current_span()
    here = current.get_span_context()
    context = _propagator.extract({"traceparent": carried}, Context())
    there = trace.get_current_span(context).get_span_context()
    if here.is_valid and there.trace_id in (here.trace_id, trace.INVALID_TRACE_ID):
        return _recorded(_tracer.start_span(name, kind=SpanKind[kind], attributes=attributes))
    links = [Link(here)] if here.is_valid else []
    begun = _tracer.start_span(name, context=context, kind=SpanKind[kind], attributes=attributes, links=links)
    if here.is_valid:
        current.add_link(begun.get_span_context())
    return _recorded(begun)


@contextmanager
def _recorded(span: Span) -> Iterator[None]:
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except EciError as error:
            span.set_attribute("eci.refusal", error.code)
            if error.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            raise
        except Unfinished as error:
            span.set_attribute("eci.unfinished", type(error).__name__)
            raise
        except Exception as error:  # its message may contain personal data
            span.set_attribute("error.type", f"{type(error).__module__}.{type(error).__qualname__}")
            span.set_status(Status(StatusCode.ERROR))
            raise


# -- databases --------------------------------------------------------------------------------------------------------


def transaction(context: str) -> AbstractContextManager[None]:
    """A span of one transaction. It includes waiting for locks and the commit, which are not statements."""
    return (
        _NOTHING if _tracer is None else span(f"transaction {context}", _database(connections[context]), kind="CLIENT")
    )


def _database(connection: Any) -> dict[str, str]:
    name = os.path.basename(str(connection.settings_dict["NAME"]))
    return {"eci.context": connection.alias, "db.system.name": connection.vendor, "db.namespace": name}


def _trace_statements(connection: Any, **kwargs: Any) -> None:
    if _traced_statement not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _traced_statement)  # not last: others remove their own from the end


def _traced_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A span of one statement. Its text has placeholders instead of values."""
    verb = sql.split(None, 1)[0].upper()
    table = _TABLE.search(sql)
    name = f"{verb} {table[1]}" if table else verb
    attributes = _database(context["connection"]) | {"db.operation.name": verb, "db.query.text": sql}
    with span(name, attributes, kind="CLIENT"):
        return execute(sql, params, many, context)
