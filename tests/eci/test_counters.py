"""Counters are atomic, end with their window, and never keep a request waiting."""

from __future__ import annotations

import multiprocessing
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live

from eci import counters
from eci.limits import Limit, Throttled, begin_login, take
from eci.remembered import forget_everything

pytestmark = [pytest.mark.no_database, pytest.mark.usefixtures("own_counters")]

FIVE = Limit(times=5, seconds=60)


@pytest.fixture(params=["file", "redis"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "redis" and not live.ECI_REDIS_URL:
        pytest.skip("there is no Redis in this run")
    if request.param == "file":
        settings.ECI_REDIS_URL = ""
    return str(request.param)


def passes(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Throttled:
        return False
    return True


def test_no_more_pass_than_may(store: str) -> None:
    assert [passes(lambda: take({"a": FIVE})) for _ in range(7)] == [True] * 5 + [False] * 2


def test_what_is_left_is_told(store: str) -> None:
    assert [take({"a": FIVE}).left for _ in range(5)] == [4, 3, 2, 1, 0]
    with pytest.raises(Throttled) as refused:
        take({"a": FIVE})
    assert 1 <= refused.value.retry_after <= 61
    assert refused.value.quota.limit == FIVE


def test_each_name_counts_for_itself(store: str) -> None:
    for _ in range(5):
        take({"a": FIVE})
    assert passes(lambda: take({"b": FIVE}))


def test_the_scarcest_of_several_limits_rules(store: str) -> None:
    quota = take({"a": Limit(times=100, seconds=60), "b": FIVE})
    assert (quota.limit, quota.left) == (FIVE, 4)


def test_a_window_ends(store: str) -> None:
    short = Limit(times=1, seconds=1)
    take({"a": short})
    assert not passes(lambda: take({"a": short}))
    until = time.monotonic() + 60
    while not passes(lambda: take({"a": short})):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_of_many_in_one_moment_no_more_pass_than_may(store: str) -> None:
    ready = threading.Barrier(20)

    def rush(number: int) -> int:
        ready.wait()
        return sum(passes(lambda: take({"a": Limit(times=50, seconds=60)})) for _ in range(10))

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(rush, range(20))) == 50


# -- passwords --------------------------------------------------------------------------------------------------------


def wrong(account: str, address: str) -> bool:
    """Try a wrong password. False if the try is rejected before it is checked."""
    return passes(lambda: begin_login(account=account, address=address))


def right(account: str, address: str) -> bool:
    try:
        begin_login(account=account, address=address).take_back()
    except Throttled:
        return False
    return True


def test_ten_wrong_passwords_and_no_more(store: str) -> None:
    assert [wrong("ann", "1.1.1.1") for _ in range(12)] == [True] * 10 + [False] * 2
    assert not right("ann", "1.1.1.1")


def test_the_owner_elsewhere_still_gets_in(store: str) -> None:
    for _ in range(30):
        wrong("ann", "1.1.1.1")
    assert right("ann", "2.2.2.2")
    assert right("bob", "1.1.1.1")


def test_right_passwords_do_not_count(store: str) -> None:
    assert all(right("ann", "1.1.1.1") for _ in range(25))
    assert [wrong("ann", "1.1.1.1") for _ in range(11)] == [True] * 10 + [False]


def test_under_siege_from_many_addresses_each_has_fewer_tries_and_the_owner_gets_in(store: str) -> None:
    for number in range(6):
        for _ in range(10):
            wrong("ann", f"1.1.1.{number}")
    assert [wrong("ann", "3.3.3.3") for _ in range(5)] == [True] * 3 + [False] * 2
    assert right("ann", "2.2.2.2")


def test_tries_that_were_not_looked_at_lay_no_siege(store: str) -> None:
    for _ in range(200):
        wrong("ann", "1.1.1.1")
    assert [wrong("ann", "3.3.3.3") for _ in range(10)] == [True] * 10


def test_ten_in_one_moment_are_ten(store: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(lambda _: wrong("ann", "1.1.1.1"), range(40))) == 10


# -- without Redis ----------------------------------------------------------------------------------------------------


def test_a_redis_that_is_away_refuses_nobody_and_is_left_alone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        settings.ECI_REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        counters._script.cache_clear()
        asked: list[None] = []
        ask = counters._add_in_redis
        monkeypatch.setattr(counters, "_add_in_redis", lambda steps: asked.append(None) or ask(steps))
        try:
            assert [passes(lambda: take({"a": FIVE})) for _ in range(6)] == [True] * 5 + [False]
        finally:
            counters._script(settings.ECI_REDIS_URL).registered_client.close()
            counters._script.cache_clear()
    assert len(asked) == 1


def test_processes_that_share_a_folder_count_together(settings: Any) -> None:
    settings.ECI_REDIS_URL = ""
    with multiprocessing.get_context("fork").Pool(4) as processes:
        passed = processes.map(rush_of_six, range(4))
    assert sum(passed) == 5
    assert not passes(lambda: take({"a": FIVE}))


def test_processes_that_open_a_new_file_at_once_count_together(settings: Any, tmp_path: Path) -> None:
    settings.ECI_REDIS_URL = ""
    fork = multiprocessing.get_context("fork")
    with fork.Pool(8, remember, [fork.Barrier(8)]) as processes:
        for number in range(20):
            file = tmp_path / f"{number}.sqlite3"
            processes.map(add_once, [file] * 8, chunksize=1)
            settings.ECI_COUNTERS_FILE = file
            [count] = counters.add([counters.Step("a", 1, 60)])
            assert count.times == 9


def test_a_file_that_stays_locked_keeps_one_request_waiting_not_each(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ECI_REDIS_URL = ""
    settings.ECI_COUNTERS_FILE = tmp_path / "counters.sqlite3"
    monkeypatch.setattr(counters, "_FILE_TIMEOUT", 0.05)
    asked: list[str] = []
    find = counters._file
    monkeypatch.setattr(counters, "_file", lambda path, process: asked.append(path) or find(path, process))
    name = str(tmp_path)
    with closing(sqlite3.connect(settings.ECI_COUNTERS_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [passes(lambda: take({name: FIVE})) for _ in range(6)] == [True] * 5 + [False]
    assert asked.count(str(settings.ECI_COUNTERS_FILE)) == 1
    forget_everything()
    assert passes(lambda: take({name: FIVE})), "the file counts again"


def remember(barrier: Any) -> None:
    global together
    together = barrier


def add_once(file: Path) -> None:
    live.ECI_COUNTERS_FILE = file
    together.wait()
    counters.add([counters.Step("a", 1, 60)])


def rush_of_six(_: int) -> int:
    return sum(passes(lambda: take({"a": FIVE})) for _ in range(6))


def test_a_file_that_cannot_be_written_refuses_nobody(settings: Any, tmp_path: Path) -> None:
    settings.ECI_REDIS_URL = ""
    settings.ECI_COUNTERS_FILE = tmp_path / "no such folder" / "counters.sqlite3"
    name = str(tmp_path)
    assert [passes(lambda: take({name: FIVE})) for _ in range(6)] == [True] * 5 + [False]


def test_names_are_hidden_in_the_file(settings: Any, tmp_path: Path) -> None:
    settings.ECI_REDIS_URL = ""
    settings.ECI_COUNTERS_FILE = tmp_path / "counters.sqlite3"
    begin_login(account="customer:ann@example.com", address="1.1.1.1")
    with closing(sqlite3.connect(tmp_path / "counters.sqlite3")) as connection:
        kept = str(connection.execute("SELECT * FROM windows").fetchall())
    assert "eci:limit:" in kept
    assert "ann" not in kept
    assert "1.1.1.1" not in kept


def test_names_are_hidden_in_redis() -> None:
    if not live.ECI_REDIS_URL:
        pytest.skip("there is no Redis in this run")
    import redis

    with suppress(Throttled):
        begin_login(account="customer:ann@example.com", address="1.1.1.1")
    with redis.Redis.from_url(live.ECI_REDIS_URL) as client:
        keys = [key.decode() for key in client.scan_iter("eci:limit:*")]
    assert keys
    assert not any("ann" in key or "1.1.1.1" in key for key in keys)


def test_four_hundred_names_from_one_address_are_a_hundred_guesses(store: str) -> None:
    at_home = begin_login(account="staff:3", address="1.1.1.1")
    at_home.was_right()
    names = [f"staff-named:{number}" for number in range(400)]
    tried = [passes(lambda: begin_login(account="", name=name, address="1.1.1.1")) for name in names]  # noqa: B023
    assert tried == [True] * 100 + [False] * 300
    assert passes(lambda: begin_login(account="staff:3", address="1.1.1.1")), "signed in from there before"
    assert not passes(lambda: begin_login(account="staff:4", address="1.1.1.1"))
    assert passes(lambda: begin_login(account="staff:4", address="2.2.2.2"))
