"""What may befall a call between two processes, at any call of a workflow: inventory and payments are remote.

    python -m tests.trouble.torture.remote [--kills N] [--seed S] [--only WORDS] [--results FILE]

A road lies between caller and callee. At one call of a case it kills or freezes either of them, or cuts the connection,
before the request or after the answer. Then both go on, the client repeats its command, and the judge looks. Each line
of the results is written as it happens. Prints a table, and exits with 1 when the judge found something.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import itertools
import json
import os
import random
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx

from tests.support.cut import PARTS, Cut, Service, cut
from tests.trouble.torture.stage import ENGINES, empty

if TYPE_CHECKING:
    from tests.trouble.torture.scenarios import Case, Scenario

BATCH = 26  # cases between two looks at the books
TIMEOUT = 1  # seconds that a caller waits: short, so that hundreds of frozen processes take minutes
FREEZE = 2.5  # seconds
ROUNDS = 30  # of work: whatever is unfinished then never ends, and the judge will say so
CALLER, CALLEE, CONNECTION = "caller", "callee", "connection"
KILLED, FROZEN, CUT = "killed", "frozen", "cut"
BEFORE, DURING, AFTER = "before the request", "during the call", "after the answer"
Told = tuple[int, str]
"""What a client was answered: status, and the code of an error. 0: its connection was lost."""

LINE = "{:12} {:8} {:20} {:>7} {:>9}"


@dataclasses.dataclass(frozen=True)
class Trouble:
    victim: str
    how: str
    moment: str


TROUBLES = [
    *(Trouble(CALLER, how, moment) for how in (KILLED, FROZEN) for moment in (BEFORE, AFTER)),
    *(Trouble(CALLEE, how, moment) for how in (KILLED, FROZEN) for moment in (BEFORE, DURING, AFTER)),
    *(Trouble(CONNECTION, CUT, moment) for moment in (BEFORE, AFTER)),
]


class Fuse:
    """Counts calls, and gives the trouble that is due at one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.arm(-1, None)

    def arm(self, deadly: int, trouble: Trouble | None) -> None:
        with self._lock:
            self.passed, self.deadly, self.trouble, self.burnt = 0, deadly, trouble, False
            self.befallen = threading.Event()

    def reached(self) -> Trouble | None:
        with self._lock:
            number, self.passed = self.passed, self.passed + 1
            if number != self.deadly:
                return None
            self.burnt = True
            return self.trouble


class Road(ThreadingHTTPServer):
    """From ``caller`` to ``callee``, which are told once they run."""

    daemon_threads = True
    caller: Service
    callee: Service

    def __init__(self, befall: Callable[[Trouble, Service, Service], None], fuse: Fuse, chance: random.Random) -> None:
        super().__init__(("127.0.0.1", 0), _Traveller)
        self.befall, self.fuse, self.chance = befall, fuse, chance

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One end of the connection is gone: that is what this is for."""


class _Traveller(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Road

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._travel(None)

    def do_POST(self) -> None:
        road, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        self._travel(road.fuse.reached(), body)

    def _travel(self, trouble: Trouble | None, body: bytes = b"") -> None:
        road, moment = self.server, trouble.moment if trouble else ""
        if trouble and moment == BEFORE:
            self._befall(trouble)
            if trouble.victim == CONNECTION:
                self._cut()
                return
        if trouble and moment == DURING:
            threading.Timer(road.chance.uniform(0, 0.02), self._befall, [trouble]).start()
        place = road.callee.url.removeprefix("http://")
        try:
            connection = http.client.HTTPConnection(place, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            if moment == AFTER:  # which never comes
                road.fuse.befallen.set()
            self._cut()
            return
        finally:
            connection.close()
        if trouble and moment == AFTER:
            self._befall(trouble)
            if trouble.victim == CONNECTION:
                self._cut()
                return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _befall(self, trouble: Trouble) -> None:
        try:
            self.server.befall(trouble, self.server.caller, self.server.callee)
        finally:
            self.server.fuse.befallen.set()

    def _cut(self) -> None:
        """Reset: neither end knows what the other has seen."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


class Campaign:
    def __init__(self, shop: Cut, fuse: Fuse, chance: random.Random, results: IO[str], words: str) -> None:
        from tests.support.api import Api
        from tests.trouble.torture.scenarios import SCENARIOS

        self.shop, self.fuse, self.chance, self.results = shop, fuse, chance, results
        self.near = Api()  # in this process, which is on the same databases: what a case needs before it begins
        self.environment = shop.of("orders").environment
        self.scenarios = [one for one in SCENARIOS if words in one.name and is_of_clients(one)]
        self.kills: Counter[Trouble] = Counter()
        self.found: Counter[Trouble] = Counter()
        self.in_books = 0

    def run(self, kills: int) -> None:
        from tests.trouble.torture.scenarios import open_warehouses

        open_warehouses(self.near)
        calls = {one.name: self._count(one) for one in self.scenarios}
        plan = zip(itertools.cycle(self._shuffled()), itertools.cycle(TROUBLES), strict=False)
        while (done := self.kills.total()) < kills:
            batch = []
            while len(batch) < min(BATCH, kills - done):
                scenario, trouble = next(plan)
                if number := calls[scenario.name]:
                    case = scenario.begin(self.near, self._key())
                    told, befallen = self._befall(scenario, case, self.chance.randrange(number), trouble)
                    if befallen:
                        batch.append((scenario, case, trouble, told))
            self._judge(batch)

    def _shuffled(self) -> list[Scenario]:
        return self.chance.sample(self.scenarios, len(self.scenarios))

    def _key(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def _count(self, scenario: Scenario) -> int:
        """Calls between the two when nothing happens."""
        case = scenario.begin(self.near, self._key())
        self._settle()
        self.fuse.arm(-1, None)
        self._do(scenario, case)
        return self.fuse.passed

    def _do(self, scenario: Scenario, case: Case) -> Told:
        """The command, and the work that is due after it."""
        try:
            answer = scenario.act(self.shop, case)
            told = answer.status, answer.json.get("code", "")
        except httpx.TransportError:
            told = 0, "no answer"
        for service in self.shop.services.values():
            try:
                service.ask("work")
            except (httpx.TransportError, httpx.HTTPStatusError):  # it was killed over it
                continue
        return told

    def _befall(self, scenario: Scenario, case: Case, number: int, trouble: Trouble) -> tuple[Told, bool]:
        """What the client was told at first, and whether the call was reached."""
        begun = time.monotonic()
        self.fuse.arm(number, trouble)
        told = self._do(scenario, case)
        befallen = self.fuse.burnt
        if befallen:  # who looks for processes to mend before the last is dead takes it for one that lives
            self.fuse.befallen.wait()
        self.fuse.arm(-1, None)
        self._mend()
        if befallen:
            self.kills[trouble] += 1
            self._note(
                kill=self.kills.total(),
                scenario=scenario.name,
                key=case.key,
                call=number,
                **dataclasses.asdict(trouble),
                told=told,
                seconds=round(time.monotonic() - begun, 1),
            )
        if told[0] == 500:
            self.found[trouble] += 1
            self._note(finding=f"a client was answered 500 {told[1]}", scenario=scenario.name)
        return told, befallen

    def _mend(self) -> None:
        for service in self.shop.services.values():
            if not service.is_running():
                service.start()
            service.thaw()
        for service in self.shop.services.values():
            service.wait()

    def _settle(self) -> None:
        """As much time passes as it takes until nothing waits; the processes do the work."""
        from django.db import connections

        from tests.trouble.torture import recovery

        for _ in range(ROUNDS):
            if not recovery.let_time_pass():
                break
            self.shop.hasten()
            self.shop.settle()
        connections.close_all()

    def _judge(self, batch: list[tuple[Scenario, Case, Trouble, Told]]) -> None:
        from tests.trouble.torture.campaign import differences
        from tests.trouble.torture.judge import ends, findings, read

        cleanly: dict[str, tuple[Scenario, Case]] = {}
        for scenario, *_ in batch:
            if scenario.name not in cleanly:
                cleanly[scenario.name] = scenario, scenario.begin(self.near, self._key())
        for scenario, case in cleanly.values():
            self._do(scenario, case)
        self._settle()
        told = {case.key: self._told(scenario, case) for scenario, case, *_ in batch}
        told |= {case.key: self._told(scenario, case) for scenario, case in cleanly.values()}
        self._settle()
        books = read(self.environment)
        for finding in findings(books):
            self.in_books += 1
            self._note(finding=finding)
        ended = ends(books)
        for scenario, case, trouble, first in batch:
            cases = [cleanly[scenario.name][1], case]
            if first == (202, "") and not scenario.end:  # an order that its buyer was told of is not taken back
                scenario, cases = dataclasses.replace(scenario, end="CANCELLED UNPAID"), [case]
            for finding in differences(
                scenario, [told[one.key] for one in cases], [ended[one.product_id] for one in cases]
            ):
                self.found[trouble] += 1
                self._note(finding=finding, scenario=scenario.name, key=case.key, **dataclasses.asdict(trouble))

    def _told(self, scenario: Scenario, case: Case) -> Told:
        """What a client is told that repeats its command until it is decided."""
        for _ in range(3):
            answer = scenario.act(self.shop, case)
            told = answer.status, answer.json.get("code", "")
            if answer.status not in (202, 503) and told[1] != "idempotency_in_progress":
                break
            self._settle()
        return told

    def _note(self, **told: Any) -> None:
        print(json.dumps(told), file=self.results, flush=True)
        if "finding" in told:
            print(f"    {told}", flush=True)


def is_of_clients(scenario: Scenario) -> bool:
    """One that needs nothing to be replaced inside the product: that would be another process now."""
    return not (
        scenario.unanswered or scenario.away or scenario.pressing or "refuses" in scenario.name.split(", ")[-1]
        or "deadline" in scenario.name or "count" in scenario.name
    )  # fmt: skip


def befalling(chance: random.Random) -> Callable[[Trouble, Service, Service], None]:
    def befall(trouble: Trouble, caller: Service, callee: Service) -> None:
        if trouble.victim == CONNECTION:
            return
        victim = caller if trouble.victim == CALLER else callee
        if trouble.how == FROZEN:
            victim.freeze()
        elif chance.random() < 0.75:
            victim.kill_worker()
        else:
            victim.die()
        if victim is callee:
            if trouble.how == FROZEN:
                threading.Timer(FREEZE, victim.thaw).start()
        else:
            if chance.random() < 0.5:  # somebody else finds its lease expired, and ends what it began
                _recover_meanwhile()
            if trouble.how == FROZEN:
                victim.thaw()

    return befall


def _recover_meanwhile() -> None:
    from django.db import connections

    from tests.trouble.torture import recovery

    try:
        recovery.let_time_pass()
        recovery.do_what_is_due()
    finally:
        connections.close_all()


@contextmanager
def stage(fuse: Fuse, chance: random.Random) -> Iterator[Cut]:
    """Two processes with a road each way, and this one on the same databases."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eci-remote-", ignore_cleanup_errors=True)))
        roads = {name: Road(befalling(chance), fuse, chance) for name in PARTS}
        for road in roads.values():
            threading.Thread(target=road.serve_forever, daemon=True).start()
            stack.callback(road.shutdown)
        via = {name: road.url for name, road in roads.items()}
        shop = stack.enter_context(cut(empty(place), place / "cut", PARTS, via=via, ECI_SERVICE_TIMEOUT=str(TIMEOUT)))
        for name, road in roads.items():
            road.callee = shop.services[name]
            road.caller = next(service for other, service in shop.services.items() if other != name)
        own = {
            name: value
            for name, value in shop.of("orders").environment.items()
            if not name.startswith("ECI_SERVICE")  # all are local here
        }
        os.environ.update(own, DJANGO_SETTINGS_MODULE="tests.settings")
        import django

        django.setup()
        yield shop


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trouble.torture.remote", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--only", default="", metavar="WORDS", help="scenarios whose name has these words")
    parser.add_argument("--results", default=os.devnull, help="a line of JSON for each kill and finding")
    asked = parser.parse_args()
    print(f"{asked.kills} troubles on {ENGINES}, seed {asked.seed}", flush=True)
    begun, fuse, chance = time.monotonic(), Fuse(), random.Random(asked.seed)
    with Path(asked.results).open("a") as results, stage(fuse, chance) as shop:
        campaign = Campaign(shop, fuse, chance, results, asked.only)
        try:
            campaign.run(asked.kills)
        finally:
            print(LINE.format("victim", "", "", "times", "findings"))
            for trouble in TROUBLES:
                told = campaign.kills[trouble], campaign.found[trouble]
                print(LINE.format(trouble.victim, trouble.how, trouble.moment, *told))
            print(LINE.format("together", "", "", campaign.kills.total(), campaign.found.total()))
            print(f"{campaign.in_books} findings in the books, {time.monotonic() - begun:.0f} seconds", flush=True)
    return 1 if campaign.found.total() + campaign.in_books else 0


if __name__ == "__main__":
    sys.exit(main())
