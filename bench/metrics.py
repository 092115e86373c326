"""Measure what counting a request costs: ``python -m bench.metrics``.

It sends the cheapest request, ``/health/live``, through the middleware with and without the part that counts, in turn,
so that other load on the machine affects both. Counts go to files, as when web processes count together.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

ROUNDS, REQUESTS = 40, 200
COUNTING = "eci.watch.metrics.MeasureMiddleware"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
        import django

        django.setup()
        with_it, without = handler(), handler(leave_out=COUNTING)
        times: dict[Any, list[float]] = {with_it: [], without: []}
        for _ in range(ROUNDS):
            for one, measured in times.items():
                measured.append(seconds_of(one))
    middle = {one: statistics.median(measured) * 1e6 for one, measured in times.items()}
    print(f"with counting {middle[with_it]:.0f} µs, without {middle[without]:.0f} µs")
    print(f"{middle[with_it] - middle[without]:.0f} µs a request, ratio {middle[with_it] / middle[without]:.3f}")


def handler(leave_out: str = "") -> Any:
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    from config import settings

    with override_settings(MIDDLEWARE=[name for name in settings.MIDDLEWARE if name != leave_out]):
        return get_wsgi_application()


def seconds_of(application: Any) -> float:
    """Seconds of one request, on average."""
    from django.test import RequestFactory

    factory = RequestFactory()
    environs = [factory.get("/health/live").environ for _ in range(REQUESTS)]
    began = time.perf_counter()
    for environ in environs:
        application(environ, lambda status, headers: None)
    return (time.perf_counter() - began) / REQUESTS


if __name__ == "__main__":
    main()
