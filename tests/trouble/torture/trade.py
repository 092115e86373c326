"""A batch of orders with all kinds of outcomes, traded in peace or in trouble."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from config.celery import app
from config.contexts import CONTEXTS
from eci import outbox
from tests.trouble.torture import recovery
from tests.trouble.torture.judge import ONCE, ends, findings, read
from tests.trouble.torture.processes import Boundaries, Child, Killed, in_child
from tests.trouble.torture.scenarios import SCENARIOS, Case, Scenario
from tests.trouble.torture.shop import Told, act, api, open_anew, tell

TRADED = (
    "place",
    "place, two warehouses",
    "place, shipped by staff",
    "place, declined",
    "place, out of stock",
    "place, charging not answered",
    "place, shipped by staff, authorising not answered",
    "pay later: place",
    "pay later: charge",
    "pay later: charge, declined",
    "pay later: charge, not answered",
    "pay later: charge, stock gone",
    "pay later: deadline passed",
    "cancel",
    "cancel, refund not answered",
    "return",
    "return, one of two, damaged",
    "staff: parcel delivered",
    "staff: count finds too little",
)
AT_ONCE = 6  # clients beside a worker
ROUNDS = 20  # of a worker that lives so long
LONGEST_LIFE = 1_500  # boundaries
MOST_WORKERS = 100
NOTED = (*ONCE, "needs_attention")  # on a timeline: what an event delivered twice must not note twice


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What each client was told, how everything ended that concerns each one's product, and what the judge says."""

    answers: list[Told]
    ended: list[dict[str, Any]]
    findings: list[str]


class Trade:
    def __init__(self, environment: Mapping[str, str], *, orders: int, seed: int) -> None:
        self._environment = environment
        self._random = random.Random(seed)
        known = {scenario.name: scenario for scenario in SCENARIOS}
        self._scenarios = [known[TRADED[number % len(TRADED)]] for number in range(orders)]
        self._sent = Path(environment["ECI_DATA_DIR"]) / "messages"
        self.workers_killed = 0

    @property
    def messages(self) -> Counter[str]:
        """How many there were of each kind, and what became of them; those of processes that were killed too."""
        return Counter(self._sent.read_text().splitlines())

    def in_peace(self) -> Outcome:
        cases = self._begin()
        for scenario, case in zip(self._scenarios, cases, strict=True):
            in_child(partial(act, scenario, case))
        return self._end(cases)

    def in_trouble(self) -> Outcome:
        cases = self._begin()
        waiting = list(zip(self._scenarios, cases, strict=True))
        self._random.shuffle(waiting)
        while waiting:
            asking, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            clients = [Child(partial(_ask_in_trouble, *each, network=self._network())) for each in asking]
            self._worker()
            for client in clients:
                client.join()
        for _ in range(MOST_WORKERS):
            if not in_child(recovery.let_time_pass):
                return self._end(cases)
            self._worker()
        raise RuntimeError(f"{MOST_WORKERS} workers were not enough")

    def differences(self, peace: Outcome, trouble: Outcome) -> Iterator[str]:
        for number, scenario in enumerate(self._scenarios):
            if trouble.answers[number] != peace.answers[number]:
                yield f"'{scenario.name}' was told {trouble.answers[number]}, in peace {peace.answers[number]}"
            for part, in_peace in peace.ended[number].items():
                if trouble.ended[number][part] != in_peace:
                    yield f"'{scenario.name}', its {part}: {trouble.ended[number][part]}, in peace {in_peace}"

    def _network(self) -> Network:
        return Network(random.Random(self._random.getrandbits(32)), self._sent)

    def _begin(self) -> list[Case]:
        open_anew(self._environment)
        keys = [f"{self._random.getrandbits(128):032x}" for _ in self._scenarios]
        return in_child(lambda: [each.begin(api, key) for each, key in zip(self._scenarios, keys, strict=True)])

    def _worker(self) -> None:
        """One worker, which dies at some boundary unless it has done its rounds before."""
        worker = Child(partial(_work_in_trouble, self._network(), self._random.randrange(LONGEST_LIFE)))
        try:
            worker.join()
        except Killed:
            self.workers_killed += 1

    def _end(self, cases: list[Case]) -> Outcome:
        """Everything is done that is still due, the clients ask again, and the judge looks."""
        in_child(recovery.do_everything)
        answers = tell(list(zip(self._scenarios, cases, strict=True)))
        books = read(self._environment)
        ended = ends(books, noted=NOTED)
        return Outcome(answers=answers, ended=[ended[case.product_id] for case in cases], findings=findings(books))


class Network:
    """What lies between a process and those it tells something. Of ten messages two are lost, and two come twice."""

    def __init__(self, chance: random.Random, sent: Path) -> None:
        self.chance = chance
        self._sent = sent

    def stand_between(self) -> None:
        """Events leave this process through here from now on; in no order."""
        receive, claim = outbox.receive, outbox._claim

        def received(*message: Any) -> None:
            times = self.times("events")
            for _ in range(times):
                receive(*message)
            if times == 0 or self.chance.random() < 0.1:  # the message is lost, or the answer to it
                raise ConnectionError("No answer.")

        def claimed(*arguments: Any) -> list[Any]:
            rows = claim(*arguments)
            return self.chance.sample(rows, len(rows))

        outbox.receive, outbox._claim = received, claimed

    def times(self, what: str) -> int:
        """How often this message arrives."""
        times = self.chance.choice((0, 0, 1, 1, 1, 1, 1, 1, 2, 2))
        line = f"{what} {('lost', 'delivered', 'doubled')[times]}\n"
        file = os.open(self._sent, os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # many processes write, each a whole line
        os.write(file, line.encode())
        os.close(file)
        return times


def _ask_in_trouble(scenario: Scenario, case: Case, *, network: Network) -> None:
    network.stand_between()
    act(scenario, case)


def _work_in_trouble(network: Network, deadly: int) -> None:
    """Beat's tasks and the relay, in any order, as their wake-ups arrive."""
    network.stand_between()
    Boundaries(deadly).watch()
    app.loader.import_default_modules()
    tasks: list[Callable[[], Any]] = [partial(outbox.relay_once, settings.ECI_CONTEXTS)] * 3
    tasks += [app.tasks[name] for context in CONTEXTS.values() for name in context.beat if not name.endswith(".prune")]
    for _ in range(ROUNDS):
        for task in network.chance.sample(tasks, len(tasks)):
            for _ in range(network.times("wake-ups")):
                task()
