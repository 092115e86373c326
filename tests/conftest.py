"""What any test may ask for, which databases it may use, and which tests run, in which order."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from eci.calls import remote
from eci.remembered import forget_everything
from tests.support import statements as counting
from tests.support import tables, world
from tests.support.api import Api
from tests.support.copies import Copied
from tests.support.imports import Importing
from tests.support.ledger import Ledger
from tests.support.shop import Shop

T = TypeVar("T")
SHARED = ("tests/processes/shared/", "tests/browser/")  # the files of each have one product
AFTER_THE_RANKED = 1_000
NOT_ON_SERVERS = re.compile(r"^pytestmark = .*\b(any_engine|no_database)\b", re.MULTILINE)

gc.disable()  # until all is loaded, which stays
admin.autodiscover()  # tests look at what is registered, and may come before the first page

# What a busy machine is slow at is not wrong, and a run knows of no other.
hypothesis.settings.register_profile("ours", deadline=None, database=None)
hypothesis.settings.load_profile("ours")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On servers, a file of which nothing runs there is not loaded."""
    if world.ON_SERVERS and collection_path.suffix == ".py" and NOT_ON_SERVERS.search(collection_path.read_text()):
        return True
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test may use every context's database, each rolled back after it; pure tests and e2e use none of them."""
    if world.ON_SERVERS:
        on_any = [item for item in items if {"any_engine", "no_database"} & set(item.keywords)]
        config.hook.pytest_deselected(items=on_any)
        items[:] = [item for item in items if item not in set(on_any)]
    for item in items:
        if not ({"no_database", "e2e"} & set(item.keywords)):
            item.add_marker(pytest.mark.django_db(databases="__all__"))
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where a file is one process's work, a folder whose tests share a product is so too."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrProduct(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = next((one for one in SHARED if nodeid.startswith(one)), "")
            return folder or super()._split_scope(nodeid)

    return ByFileOrProduct(config, log)


def _rank(item: pytest.Item) -> int:
    """What takes long begins first, so that no process is left alone with it at the end."""
    if item.nodeid.startswith(SHARED[0]):
        return 0
    marker = item.get_closest_marker("first")
    if marker:
        return int(marker.args[0])
    return AFTER_THE_RANKED if "e2e" in item.keywords else AFTER_THE_RANKED + 1


def pytest_collection_finish() -> None:
    """What is loaded stays: the collector need not look through it again and again, nor copy it in forked children."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), tables.from_models():
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=())
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(autouse=True)
def _gateway_ledger(tmp_path: Path) -> None:
    django_settings.ECI_SANDBOX_LEDGER = tmp_path / "sandbox.sqlite3"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """A test finds no short-lived cache, no pause and no broken circuit of the test before it."""
    forget_everything()
    remote.forget_failures()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(scope="session")
def copied(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Callable[[Callable[[Api], T]], Copied[T]]:
    """What a session begins with, to be put into the databases of its tests."""

    def copy(make: Callable[[Api], T]) -> Copied[T]:
        with django_db_blocker.unblock():
            return Copied(make)

    return copy


@pytest.fixture(scope="session")
def opened(copied: Callable[..., Copied[Shop]]) -> Copied[Shop]:
    return copied(Shop.open)


@pytest.fixture
def shop(api: Api, opened: Copied[Shop]) -> Shop:
    """A small shop: products, stock in two warehouses, a customer."""
    return replace(opened.put(api), api=api)


@pytest.fixture
def importing(api: Api) -> Importing:
    return Importing(api)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def statements() -> Callable[[], AbstractContextManager[counting.Counted]]:
    """``with statements() as counted``."""
    return counting.statements


@pytest.fixture
def closed(own_counters: None, settings: Any, tmp_path: Path) -> None:
    """The shop as it is outside development, with keys of its own; how often one may call is not the subject here."""
    from config import limits

    settings.ECI_KEYS_DIR = tmp_path / "keys"
    settings.ECI_RATE_LIMITS = limits.parse("off")


@pytest.fixture
def own_counters(settings: Any, tmp_path: Path) -> Iterator[None]:
    """A closed shop that has counted nothing yet."""
    settings.ECI_OPEN = False
    settings.ECI_COUNTERS_FILE = tmp_path / "counters.sqlite3"
    of_this_run = settings.ECI_REDIS_URL  # a test may set another
    _forget_counters(of_this_run)
    yield
    _forget_counters(of_this_run)


def _forget_counters(url: str) -> None:
    if url:
        import redis

        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter("eci:limit:*"):
                client.delete(key)


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> world.Seed:
    """Migrated databases with nothing in them, to be copied."""
    return world.seed(_shared(tmp_path_factory, worker_id))


@pytest.fixture(scope="session")
def demo_seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> world.Seed:
    """The demo shop's data, to be copied."""
    return world.seed(_shared(tmp_path_factory, worker_id), demo=True)


def _shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all the workers of a test run have."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent
