"""An OpenTelemetry collector: takes spans over OTLP/HTTP as any other does, and keeps them for tests to read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True, kw_only=True)
class Span:
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    began: int
    failed: bool
    attributes: dict[str, Any]
    links: list[str]
    """Trace ids."""


class Trace:
    """The spans of one trace, as they began."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: span.began)
        self._by_id = {span.span_id: span for span in spans}

    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def all(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        (span,) = self.all(name)
        return span

    def above(self, span: Span) -> list[str]:
        """The names of its parent, its parent's parent and so on."""
        parent = self._by_id.get(span.parent_id)
        return [parent.name, *self.above(parent)] if parent else []

    def below(self, span: Span) -> list[Span]:
        return [one for one in self.spans if one.parent_id == span.span_id]

    def strays(self) -> list[Span]:
        """Those whose parent is not here; the first of a trace has one elsewhere, or none."""
        return [span for span in self.spans if span.parent_id not in self._by_id]


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.received = b""
        self.url = ""

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_read(span, service) for span in scope.spans]
        self.received += body

    def trace(self, trace_id: str) -> Trace:
        return Trace([span for span in self.spans if span.trace_id == trace_id])

    def about(self, order_id: str) -> list[Span]:
        return [span for span in self.spans if span.attributes.get("eci.order_id") == order_id]


def _read(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        service=service,
        began=span.start_time_unix_nano,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
        links=[link.trace_id.hex() for link in span.links],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one) for one in attributes}


def _value(attribute: KeyValue) -> Any:
    return getattr(attribute.value, str(attribute.value.WhichOneof("value")))


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if known:
                collector.take(body)
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
