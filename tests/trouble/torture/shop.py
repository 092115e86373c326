"""The shop that all of it happens in, and what its clients do."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from tests.support.api import Answer, Api
from tests.trouble.torture import recovery
from tests.trouble.torture.judge import ledger_of
from tests.trouble.torture.processes import Boundaries, in_child
from tests.trouble.torture.scenarios import SCENARIOS, Case, Scenario, lose_answers_of, open_warehouses, send_away

Told = tuple[int, str]
"""What a client was answered: status, and the code of an error."""

api = Api()  # one for all processes: its first request loads the product's middleware


def warm_up() -> None:
    """Do once what a process does only the first time. In a thread: its connections end with it, and none is open
    when a child is forked."""

    def trade() -> None:
        open_warehouses(api)
        for scenario in SCENARIOS:
            if scenario.name in ("place", "pay later: charge", "cancel", "return"):
                scenario.act(api, scenario.begin(api, scenario.name))
        recovery.do_everything()
        connections.close_all()

    thread = threading.Thread(target=trade)
    thread.start()
    thread.join()
    gc.collect()
    gc.freeze()  # or each child's first collection would copy all that it shares with this process


def open_anew(environment: Mapping[str, str]) -> None:
    """Nothing is there but two warehouses."""
    in_child(lambda: _forget(environment))
    in_child(lambda: open_warehouses(api))


def _forget(environment: Mapping[str, str]) -> None:
    """Ids are not given out again, as the provider's keys are made of them."""
    for context in settings.ECI_CONTEXTS:
        call_command(
            "flush",
            database=context,
            interactive=False,
            reset_sequences=False,
            inhibit_post_migrate=True,
            verbosity=0,
        )
    if ledger_of(environment).exists():
        with closing(sqlite3.connect(ledger_of(environment), isolation_level=None)) as ledger:
            ledger.execute("DELETE FROM operations")


def act(scenario: Scenario, case: Case, deadly: int | None = None) -> tuple[int, Told]:
    """The scenario's command; how many boundaries it has, and what was answered."""
    if scenario.unanswered:
        lose_answers_of(scenario.unanswered)
    if scenario.away:
        send_away(*scenario.away)
    boundaries = Boundaries(deadly)
    boundaries.watch()
    answer = scenario.act(api, case)
    boundaries.reached()
    return boundaries.passed, told(answer)


def tell(asked: Sequence[tuple[Scenario, Case]]) -> list[Told]:
    """The clients repeat what they asked, and once more if they are told to; what each is told in the end."""
    answers = _ask(asked)
    in_child(recovery.do_everything)
    unsettled = [number for number, answer in enumerate(answers) if _is_to_ask_again(answer)]
    for number, answer in zip(unsettled, _ask([asked[number] for number in unsettled]), strict=True):
        answers[number] = answer
    return answers


def _ask(asked: Sequence[tuple[Scenario, Case]]) -> list[Told]:
    return in_child(lambda: [told(scenario.act(api, case)) for scenario, case in asked]) if asked else []


def _is_to_ask_again(answer: Told) -> bool:
    status, code = answer
    return status in (202, 503) or code == "idempotency_in_progress"


def told(answer: Answer) -> Told:
    return answer.status, answer.json.get("code", "")
