"""Clients that call a server, each one call after the other, for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

TIMEOUT = 60  # seconds for one answer


@dataclass(frozen=True)
class Call:
    path: str
    body: bytes | None = None  # with one it is a POST
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Tally:
    """What became of the calls. ``times``: ms each one took, of those with the expected status."""

    clients: int
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # statuses and errors that were not expected

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds if self.seconds else 0.0


def drive(
    url: str,
    call: Callable[[], Call | None],
    *,
    clients: int,
    seconds: float,
    expected: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Tally:
    """Send what ``call`` gives until the time is over or it gives None; the last answers are waited for."""
    return asyncio.run(_drive(url, call, Tally(clients), seconds, expected, headers or {}))


async def _drive(
    url: str, call: Callable[[], Call | None], tally: Tally, seconds: float, expected: int, headers: Mapping[str, str]
) -> Tally:
    connector = aiohttp.TCPConnector(limit=tally.clients, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, headers=headers) as session:
        begun = time.perf_counter()
        end = begun + seconds
        await asyncio.gather(*(_client(session, call, tally, end, expected) for _ in range(tally.clients)))
        tally.seconds = time.perf_counter() - begun
    return tally


async def _client(
    session: aiohttp.ClientSession, call: Callable[[], Call | None], tally: Tally, end: float, expected: int
) -> None:
    while (began := time.perf_counter()) < end and (one := call()) is not None:
        method = "GET" if one.body is None else "POST"
        try:
            async with session.request(method, one.path, data=one.body, headers=one.headers) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            tally.others[type(error).__name__] += 1
            continue
        if answer.status == expected:
            tally.times.append((time.perf_counter() - began) * 1000)
        else:
            tally.others[f"{answer.status} {body[:120].decode(errors='replace')}"] += 1
