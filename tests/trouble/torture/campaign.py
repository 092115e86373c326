"""Kill, recover, judge: a scenario's command dies at chosen boundaries, a fresh process recovers, the judge looks."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from tests.trouble.torture import recovery
from tests.trouble.torture.judge import connect, ends, findings, read
from tests.trouble.torture.processes import Boundaries, Child, Killed, in_child
from tests.trouble.torture.scenarios import SCENARIOS, Case, Scenario, send_away
from tests.trouble.torture.shop import Told, act, api, open_anew, tell

BATCH = 30  # deaths before the survivors' work begins
SHARED = 60  # at most, of several scenarios together
CASES_KEPT = 150  # then the databases are emptied, so that the judge has less to read
TRIES = 12  # rounds of recovery while a participant is away: more than it takes until the order needs attention
LONGEST_RECOVERY = 3_000  # boundaries
PATIENT, IMPATIENT, TWO_AT_ONCE = "patient", "impatient", "two at once"
CLIENTS = (PATIENT, PATIENT, IMPATIENT, TWO_AT_ONCE)


@dataclass
class Row:
    """What became of one scenario: a line of the table."""

    scenario: Scenario
    boundaries: int = 0
    share: int = 0
    killed_at: set[int] = field(default_factory=set)
    kills: int = 0
    recovery_kills: int = 0
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


Plan = Sequence[tuple[Row, int]]
"""Rows, and how many deaths of each."""


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of few deaths share batches; one whose participants are away does not, for they would be so to all."""
    group: list[Row] = []
    for row in rows:
        alone = bool(row.scenario.away)
        if group and (alone or sum(one.share for one in group) + row.share > SHARED):
            yield group
            group = []
        group.append(row)
        if alone:
            yield group
            group = []
    if group:
        yield group


class Campaign:
    """All the kills of one run, in the databases of ``environment``, which belong to it alone."""

    def __init__(self, environment: Mapping[str, str], *, seed: int) -> None:
        self._environment = environment
        self._random = random.Random(seed)
        self._plans: dict[str, Iterator[int]] = {}
        self._cases_kept = 0

    def run(self, kills: int, *, words: str = "") -> Iterator[Row]:
        """A row for each scenario whose name has these words, as soon as it is finished."""
        self._open_anew()
        rows = [Row(scenario) for scenario in SCENARIOS if words in scenario.name]
        for row in rows:
            self._count(row)
        self._open_anew()
        boundaries = sum(row.boundaries for row in rows)
        for row in rows:
            row.share = -(-kills * row.boundaries // boundaries)
        for group in _groups(rows):
            begun = time.monotonic()
            while unfinished := [row for row in group if row.kills < row.share]:
                self._batch([(row, min(BATCH, row.share - row.kills)) for row in unfinished])
            for row in group:
                row.seconds = (time.monotonic() - begun) / len(group)
            yield from group

    def _open_anew(self) -> None:
        open_anew(self._environment)
        self._cases_kept = 0

    def _cases(self, plan: Plan) -> list[list[Case]]:
        """A case to run clean and those to be killed, of each row."""
        keys = [(row.scenario, [self._key() for _ in range(1 + kills)]) for row, kills in plan]
        return in_child(lambda: [[scenario.begin(api, key) for key in own] for scenario, own in keys])

    def _key(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _count(self, row: Row) -> None:
        """How many boundaries there are when nobody is killed."""
        scenario, key = row.scenario, self._key()
        row.boundaries, _ = in_child(lambda: act(scenario, scenario.begin(api, key)))
        self._plans[row.scenario.name] = self._plan(row.boundaries)

    def _plan(self, boundaries: int) -> Iterator[int]:
        """Each boundary once, in random order; then again, in another."""
        for _ in itertools.count():
            yield from self._random.sample(range(boundaries), boundaries)

    def _batch(self, plan: Plan) -> None:
        """So many deaths of each row; then the survivors' work, once for all of them. The first is told what is found
        in the books, where the rows cannot be told apart."""
        asked = self._cases(plan)
        for (row, _), (clean, *doomed) in zip(plan, asked, strict=True):
            self._died(Child(partial(act, row.scenario, clean)), row.findings)
            for case in doomed:
                boundary = next(self._plans[row.scenario.name])
                if self._kill(row.scenario, case, boundary, row.findings):
                    row.kills += 1
                    row.killed_at.add(boundary)
        first, _ = plan[0]
        for _ in range(self._random.randrange(2 + len(plan))):
            row, _ = self._random.choice(plan)
            row.recovery_kills += self._kill_recovery(row.scenario)
        if first.scenario.away:
            in_child(partial(try_in_vain, first.scenario))
            first.findings += self._unnoticed(asked[0])
        in_child(recovery.do_everything)
        first.findings += findings(read(self._environment))
        answers = iter(
            tell([(row.scenario, case) for (row, _), cases in zip(plan, asked, strict=True) for case in cases])
        )
        books = read(self._environment)
        ended = ends(books)
        first.findings += findings(books) + in_child(recovery.changed_in_ledger)
        for (row, _), cases in zip(plan, asked, strict=True):
            told = list(islice(answers, len(cases)))
            row.findings += differences(row.scenario, told, [ended[case.product_id] for case in cases])
            self._cases_kept += len(cases)
        if self._cases_kept > CASES_KEPT:
            self._open_anew()

    def _kill(self, scenario: Scenario, case: Case, boundary: int, found: list[str]) -> bool:
        """Did the process die? It ends by itself when it has found less to do than the one that was counted."""
        client = IMPATIENT if scenario.pressing else self._random.choice(CLIENTS)
        victim = Child(partial(act, scenario, case, boundary))
        if client == TWO_AT_ONCE:
            other = Child(partial(act, scenario, case))
            died = self._died(victim, found)
            self._died(other, found)
            return died
        died = self._died(victim, found)
        if client == IMPATIENT:
            self._died(Child(partial(act, scenario, case)), found)
        return died

    def _died(self, child: Child[tuple[int, Told]], found: list[str]) -> bool:
        try:
            _, (status, code) = child.join()
        except Killed:
            return True
        if status == 500:
            found.append(f"a client was answered 500 {code}")
        return False

    def _kill_recovery(self, scenario: Scenario) -> bool:
        boundary = int(LONGEST_RECOVERY ** self._random.random())
        try:
            Child(partial(recover_until_killed, scenario, boundary)).join()
        except Killed:
            return True
        return False

    def _unnoticed(self, cases: list[Case]) -> Iterator[str]:
        """Orders that recovery has tried to carry on in vain, and that nobody is told of."""
        products = ", ".join(str(case.product_id) for case in cases)
        with closing(connect(self._environment, "orders")) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT DISTINCT o.order_id, o.status FROM orders_order o"
                " JOIN orders_orderline l ON l.order_id = o.order_id"
                " LEFT JOIN orders_return r ON r.order_id = o.order_id AND r.done_at IS NULL"
                f" WHERE l.product_id IN ({products}) AND NOT o.needs_attention"
                " AND (r.id IS NOT NULL OR (o.next_at IS NOT NULL AND o.step <> 'await_payment'))"
            )
            for order_id, status in cursor.fetchall():
                yield f"{order_id} is {status}, was tried {TRIES} times in vain, and does not need attention"


def recover_until_killed(scenario: Scenario, deadly: int) -> None:
    if scenario.away:
        send_away(*scenario.away)
    Boundaries(deadly).watch()
    for _ in range(TRIES):
        recovery.let_time_pass()
        recovery.do_what_is_due()


def try_in_vain(scenario: Scenario) -> None:
    """Time passes, again and again, and everything due is done but for what the absent participant keeps waiting."""
    assert scenario.away
    send_away(*scenario.away)
    for _ in range(TRIES):
        recovery.let_time_pass()
        recovery.do_what_is_due()


def differences(scenario: Scenario, answers: list[Told], ended: list[dict[str, Any]]) -> Iterator[str]:
    """Every case must end as the clean one, the first, did; and that as the scenario says. Its order may end otherwise
    where the scenario says so."""
    for answer, end in zip(answers, ended, strict=True):
        if answer != scenario.answer:
            yield f"the client was told {answer}, not {scenario.answer}"
        statuses = ", ".join(f"{order['order'][0]} {order['order'][1]}" for order in end["orders"])
        of_later_runner = bool(statuses) and statuses == scenario.end_of_later_runner
        if statuses != scenario.end and not (of_later_runner and end is not ended[0]):
            yield f"ended as '{statuses}', not as '{scenario.end}'"
        for part, clean in ended[0].items():
            if end[part] != clean and not (of_later_runner and part == "orders"):
                yield f"its {part}: {end[part]}; after a clean run: {clean}"
