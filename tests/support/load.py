"""Clients that place orders, one after the other, while processes come and go."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.support.product import wait_until

CLIENTS = 6
PAUSE = 0.05  # seconds a client thinks


class Load:
    """Half of the clients keep their connection, half make a new one each time. Who is refused at one address asks at
    the next, as a proxy does; whatever else fails is not sent again."""

    def __init__(self, urls: Sequence[str], order: Mapping[str, Any], **headers: str) -> None:
        self.urls = urls
        self.order = order
        self.headers = headers
        self.outcomes: Counter[str] = Counter()
        self.placed: dict[str, str] = {}  # order id by idempotency key
        self.unanswered: set[str] = set()  # keys
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._buy, args=[number % 2 == 0]) for number in range(CLIENTS)]

    def _buy(self, keeps_connection: bool) -> None:
        headers = self.headers | ({} if keeps_connection else {"Connection": "close"})
        with httpx.Client(headers=headers, timeout=60, verify=False, trust_env=False) as client:
            while not self._enough.wait(PAUSE):
                key = uuid.uuid4().hex
                try:
                    answer = self._send(client, key)
                except httpx.TransportError as error:
                    self.outcomes[type(error).__name__] += 1
                    self.unanswered.add(key)
                    self._enough.wait(0.5)
                    continue
                self.outcomes[str(answer.status_code)] += 1
                if answer.status_code == 201:
                    self.placed[key] = answer.json()["data"]["order_id"]

    def _send(self, client: httpx.Client, key: str) -> httpx.Response:
        for url in self.urls:
            try:
                return client.post(f"{url}/v1/orders", json=self.order, headers={"Idempotency-Key": key})
            except httpx.ConnectError as error:
                refused = error
        raise refused

    def more(self, orders: int) -> None:
        """Wait until so many more have been placed."""
        target = len(self.placed) + orders
        wait_until(lambda: len(self.placed) >= target, 120, f"{orders} more orders; so far {self.outcomes}")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()
