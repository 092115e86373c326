"""A unit of work is one transaction on one database. It is repeated after a deadlock, and never open during a call."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from django.db import InterfaceError, OperationalError, connections
from django.db.transaction import TransactionManagementError

from contexts.catalog.models import PriceChange, Product
from contexts.catalog.public.api import catalog
from eci import databases, db
from eci.db import CommitUnknown, Stale, after_commit, in_unit_of_work, run_in_unit_of_work, unit_of_work, writes
from eci.errors import ContextUnavailable
from tests.support import world
from tests.support.product import wait_until
from tests.support.threads import elsewhere

committing = pytest.mark.django_db(databases=["catalog", "customers"], transaction=True)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db.time, "sleep", lambda seconds: None)


def postgres_error(sqlstate: str) -> OperationalError:
    cause = Exception("the driver's")
    cause.sqlstate = sqlstate  # type: ignore[attr-defined]
    error = OperationalError("could not serialize access")
    error.__cause__ = cause
    return error


def add(sku: str) -> None:
    Product.objects.create(sku=sku, name=sku, price_minor=1, currency="USD", price_thousandths=10)


def skus() -> list[str]:
    return list(Product.objects.order_by("sku").values_list("sku", flat=True))


class Failing:
    """Adds a product, but fails as often as it has failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        add(f"RUN-{self.runs}")
        if self.failures:
            raise self.failures.pop(0)
        return "done"


REPEATED = {
    "serialization failure": lambda: postgres_error("40001"),
    "deadlock": lambda: postgres_error("40P01"),
    "MySQL deadlock": lambda: OperationalError(1213, "Deadlock found"),
    "MySQL lock wait": lambda: OperationalError(1205, "Lock wait timeout exceeded"),
    "stale": lambda: Stale("changed meanwhile"),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_a_victim_is_run_again_from_the_start(kind: str) -> None:
    work = Failing(REPEATED[kind](), REPEATED[kind]())
    assert run_in_unit_of_work("catalog", work) == "done"
    assert (work.runs, skus()) == (3, ["RUN-3"])
    assert not in_unit_of_work()


@pytest.mark.parametrize("kind", REPEATED)
def test_not_for_ever(kind: str) -> None:
    work = Failing(*(REPEATED[kind]() for _ in range(50)))
    with pytest.raises((OperationalError, ContextUnavailable)):
        run_in_unit_of_work("catalog", work)
    assert 3 <= work.runs <= 10
    assert skus() == []


@pytest.mark.parametrize(
    "error", [OperationalError("server closed the connection"), postgres_error("57P01"), ValueError(1213)]
)
def test_another_failure_is_not_repeated(error: Exception) -> None:
    work = Failing(error)
    with pytest.raises(type(error)):
        run_in_unit_of_work("catalog", work)
    assert (work.runs, skus()) == (1, [])


def test_nested_only_the_outermost_is_repeated() -> None:
    inner = Failing(postgres_error("40001"))
    outer_runs = []

    def both() -> str:
        outer_runs.append(1)
        add("OUTER")
        return run_in_unit_of_work("catalog", inner)

    assert run_in_unit_of_work("catalog", both) == "done"
    assert (len(outer_runs), inner.runs, skus()) == (2, 2, ["OUTER", "RUN-2"])


def test_writes_makes_a_function_one_unit_of_work() -> None:
    work = Failing(postgres_error("40001"))

    @writes("catalog")
    def add_two(first: str, *, second: str) -> str:
        """Adds two."""
        assert in_unit_of_work("catalog")
        add(first)
        work()
        add(second)
        return second

    assert add_two("A", second="B") == "B"
    assert skus() == ["A", "B", "RUN-2"]
    assert (add_two.__name__, add_two.__doc__) == ("add_two", "Adds two.")


def test_a_nested_failure_undoes_its_own_part_only() -> None:
    with unit_of_work("catalog"):
        add("OUTER")
        with pytest.raises(ZeroDivisionError), unit_of_work("catalog"):
            add("INNER")
            _ = 1 / 0
        assert in_unit_of_work("catalog")
    assert skus() == ["OUTER"]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_a_failed_write_inside_left_is_never_committed(goes_on: bool, nested: bool) -> None:
    followed: list[str] = []

    @writes("catalog")
    def add_half() -> None:
        add("HALF")
        _ = 1 / 0

    with (
        pytest.raises(TransactionManagementError),
        unit_of_work("catalog"),
        unit_of_work("catalog") if nested else nullcontext(),
    ):
        after_commit("catalog", lambda: followed.append("as if committed"))
        with pytest.raises(ZeroDivisionError):
            add_half()
        if goes_on:
            add("OUTER")
    assert (skus(), followed) == ([], [])


def test_it_is_the_context_s_own_database() -> None:
    with unit_of_work("catalog"):
        assert (in_unit_of_work("catalog"), in_unit_of_work("customers"), in_unit_of_work()) == (True, False, True)
    assert not in_unit_of_work()


def test_a_context_is_not_called_from_inside_a_transaction() -> None:
    assert catalog.known_products(product_ids=[1]) == set()
    for context in ("catalog", "orders"):
        with pytest.raises(RuntimeError, match="inside a transaction"), unit_of_work(context):
            catalog.known_products(product_ids=[1])
    assert catalog.known_products(product_ids=[1]) == set()


def test_only_what_the_contract_names_can_be_called() -> None:
    with pytest.raises(AttributeError):
        _ = catalog.delete_everything  # type: ignore[attr-defined]


@committing
def test_what_follows_the_commit_sees_it_and_is_outside() -> None:
    seen: list[tuple[list[str], bool]] = []
    with unit_of_work("catalog"):
        add("A")
        after_commit("catalog", lambda: seen.append((skus(), in_unit_of_work())))
        assert seen == []
    assert seen == [(["A"], False)]


@committing
def test_what_follows_the_commit_may_call_other_contexts() -> None:
    found: list[set[int]] = []
    with unit_of_work("customers"):
        after_commit("customers", lambda: found.append(set(catalog.known_products(product_ids=[1]))))
    assert found == [set()]


@committing
def test_nothing_follows_a_rollback() -> None:
    seen: list[str] = []
    with pytest.raises(ZeroDivisionError), unit_of_work("catalog"):
        after_commit("catalog", lambda: seen.append("hook"))
        _ = 1 / 0
    assert seen == []


@committing
@pytest.mark.parametrize("error", [Stale(), postgres_error("40001"), RuntimeError("hook")])
def test_what_fails_after_the_commit_repeats_and_undoes_nothing(error: Exception) -> None:
    work = Failing()

    def fail() -> None:
        raise error

    def with_hook() -> str:
        after_commit("catalog", fail)
        return work()

    assert run_in_unit_of_work("catalog", with_hook) == "done"
    assert (work.runs, skus(), in_unit_of_work()) == (1, ["RUN-1"], False)


@committing
def test_a_server_that_cannot_begin_leaves_no_trace() -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OperationalError("cannot begin")

    connection = connections["catalog"]
    begin = connection.set_autocommit
    connection.set_autocommit = refuse
    try:
        with pytest.raises(OperationalError), unit_of_work("catalog"):
            pytest.fail("it did not begin")
    finally:
        connection.set_autocommit = begin
        connection.close()
    assert not in_unit_of_work()


def test_models_live_where_their_context_lives() -> None:
    router = db.ContextRouter()
    assert router.db_for_read(Product) == router.db_for_write(PriceChange) == "catalog"
    assert Product.objects.db == "catalog"


# -- connections that were lost ---------------------------------------------------------------------------------------

ON_SERVERS = pytest.mark.skipif(not world.ON_SERVERS, reason="a file's connection is not lost")


def lose(context: str) -> None:
    """The server ends this thread's connection, as a restart would."""
    connection = connections[context]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT CONNECTION_ID()")
        (number,) = cursor.fetchone()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            kill = "SELECT pg_terminate_backend(%s)" if connection.vendor == "postgresql" else "KILL %s"
            cursor.execute(kill, [number])
            if connection.vendor == "postgresql":  # it ends a moment after it was told to
                count = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
            else:
                count = "SELECT count(*) FROM information_schema.processlist WHERE id = %s"

            def is_gone() -> bool:
                cursor.execute(count, [number])
                return bool(cursor.fetchone() == (0,))

            wait_until(is_gone, 60, "the connection ends")
    finally:
        other.close()


@ON_SERVERS
@pytest.mark.parametrize("context", ["catalog", "orders"])
@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_unit_whose_connection_was_lost_begins_anew(context: str, moment: str) -> None:
    def work() -> list[int]:
        tries: list[int] = []

        def ask() -> None:
            with connections[context].cursor() as cursor:
                cursor.execute("SELECT 1")
            if moment == "within" and not tries:
                tries.append(0)
                lose(context)
                ask()
            tries.append(1)

        run_in_unit_of_work(context, lambda: None)
        if moment == "before":
            lose(context)
        run_in_unit_of_work(context, ask)
        return tries

    assert elsewhere(work) == ([1] if moment == "before" else [0, 1])


@ON_SERVERS
@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_a_unit_whose_connection_is_lost_again_is_refused(context: str) -> None:
    def work() -> int:
        tries = 0

        def ask() -> None:
            nonlocal tries
            tries += 1
            lose(context)
            with connections[context].cursor() as cursor:
                cursor.execute("SELECT 1")

        with pytest.raises((OperationalError, InterfaceError)):
            run_in_unit_of_work(context, ask)
        return tries

    assert elsewhere(work) == 2


@ON_SERVERS
@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_at_commit_nobody_knows_so_nothing_is_repeated(context: str) -> None:
    def work() -> int:
        tries = 0

        def ask() -> None:
            nonlocal tries
            tries += 1
            with connections[context].cursor() as cursor:
                cursor.execute("SELECT 1")
            lose(context)

        with pytest.raises(CommitUnknown) as raised:
            run_in_unit_of_work(context, ask)
        assert databases.database_of(raised.value) == context
        return tries

    assert elsewhere(work) == 1


@ON_SERVERS
@pytest.mark.parametrize("context", ["catalog", "orders"])
def test_a_connection_that_has_just_answered_is_not_asked(context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> tuple[list[bool], list[bool]]:
        connection = connections[context]
        connection.ensure_connection()
        asked: list[bool] = []
        really = connection.is_usable
        monkeypatch.setattr(connection, "is_usable", lambda: asked.append(True) or really())
        connection.health_check_enabled = True

        def use() -> list[bool]:
            asked.clear()
            connection.health_check_done = False
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return list(asked)

        busy = [*use(), *use()]
        connection.wrap_database_errors.answered -= databases.RESTED
        return busy, use()

    assert elsewhere(work) == ([], [True])
