"""Compare the time of a login with an unknown address and with a wrong password. A difference would reveal accounts.

Run ``python -m bench.login`` against a running ``make run``; PORT and TRIES (of each kind) come from the environment.
The kinds alternate, so that other load on the machine affects both. Exit codes: 0 the ratio of the medians is at most
1.2, 1 it is larger, 2 the benchmark could not run.
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import time

import httpx

BOUND = 1.2
WARM_UP = 5


class CannotMeasure(Exception):
    """The message is for the person who started the benchmark."""


def measure(http: httpx.Client, email: str) -> float:
    """Milliseconds of one failed login."""
    began = time.perf_counter()
    answer = http.post("/v1/users/login", json={"email": email, "password": secrets.token_urlsafe(12)})
    spent = (time.perf_counter() - began) * 1000
    if answer.status_code == 429:
        raise CannotMeasure("Logins are throttled: measure in open mode, `make run`.")
    if answer.status_code != 401:
        raise CannotMeasure(f"A wrong password got {answer.status_code}: {answer.text[:200]}")
    return spent


def line(name: str, times: list[float]) -> str:
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{name:<16}{middle:8.1f} ms median {low:8.1f} to {high:.1f} ms middle half {len(times):6} tries"


def main() -> int:
    port, tries = int(os.environ.get("PORT", "8000")), int(os.environ.get("TRIES", "100"))
    run = secrets.token_hex(6)
    known, unknown = f"known-{run}@example.com", f"nobody-{run}@example.com"
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
        person = {"email": known, "full_name": "Login Bench", "password": secrets.token_urlsafe(16)}
        if (registered := http.post("/v1/users/register", json=person)).status_code != 201:
            raise CannotMeasure(f"A customer could not be registered: {registered.text[:200]}")
        times: dict[str, list[float]] = {known: [], unknown: []}
        for attempt in range(-WARM_UP, tries):
            for email in (known, unknown) if attempt % 2 else (unknown, known):
                spent = measure(http, email)
                if attempt >= 0:
                    times[email].append(spent)
    ratio = statistics.median(times[known]) / statistics.median(times[unknown])
    print(line("known address", times[known]))
    print(line("unknown address", times[unknown]))
    print(f"ratio of medians {max(ratio, 1 / ratio):.3f}, should be at most {BOUND}")
    return 0 if max(ratio, 1 / ratio) <= BOUND else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotMeasure, httpx.HTTPError, ValueError) as problem:
        print(f"login: {problem}", file=sys.stderr)
        sys.exit(2)
