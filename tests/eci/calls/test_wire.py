"""Every method of every contract, and every refusal, survives the way through JSON."""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from config.contexts import CONTEXTS
from contexts.inventory.public.contracts import InsufficientStock, Inventory, ReservationExpired
from contexts.orders.public.contracts import Orders, OrdersStopped
from contexts.payments.public.contracts import PaymentDeclined, Payments, PaymentUnknown
from eci.activity import Entry
from eci.calls import wire
from eci.errors import ContextUnavailable, ContractError, IdempotencyInProgress, InvalidTransition, Unfinished

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**10, places=2),
    datetime: st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - made aware
    date: st.dates(),
}
for _kind, _values in VALUES.items():
    st.register_type_strategy(_kind, _values)
_PLAIN = st.dictionaries(
    VALUES[str], st.none() | st.booleans() | VALUES[str] | st.integers(-(2**53), 2**53), max_size=3
)
st.register_type_strategy(Entry, st.builds(Entry, before=_PLAIN, after=_PLAIN))


def contracts() -> list[type]:
    modules = [importlib.import_module(f"contexts.{context}.public.contracts") for context in CONTEXTS]
    return [kind for module in modules for kind in vars(module).values() if is_contract(kind, module.__name__)]


def is_contract(kind: Any, module: str) -> bool:
    return inspect.isclass(kind) and inspect.isabstract(kind) and kind.__module__ == module


METHODS = [(contract, name) for contract in contracts() for name in sorted(contract.__abstractmethods__)]


@pytest.mark.parametrize(("contract", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_arguments_and_answers_come_out_as_they_went_in(contract: type, name: str) -> None:
    method = wire.methods(contract)[name]
    hints = typing.get_type_hints(getattr(contract, name))
    answer = hints.pop("return")
    plain = {
        parameter: list[typing.get_args(hint)[0]] if typing.get_origin(hint) is Iterable else hint  # type: ignore[misc]
        for parameter, hint in hints.items()
    }

    given_arguments = st.fixed_dictionaries({parameter: st.from_type(hint) for parameter, hint in plain.items()})

    large = [HealthCheck.data_too_large, HealthCheck.too_slow]  # an order's record is deep

    @effort(max_examples=5, derandomize=True, suppress_health_check=large)
    @given(given_arguments, st.from_type(answer))
    def survive(arguments: dict[str, Any], answered: Any) -> None:
        assert method.read_arguments(method.write_arguments(arguments)) == arguments
        read = method.read_answer(method.write_answer(answered))
        assert (read, type(read), repr(read)) == (answered, type(answered), repr(read))

    survive()


def test_an_iterable_may_be_anything_that_can_be_walked() -> None:
    method = wire.methods(Inventory)["reservations"]
    for keys in ({"a": 1}.keys(), (key for key in "a"), ("a",), {"a"}):
        assert method.read_arguments(method.write_arguments({"keys": keys})) == {"keys": ["a"]}


def test_what_has_a_default_may_be_left_out_and_is_left_to_the_other_side() -> None:
    method = wire.methods(Inventory)["ship"]
    for given_arguments in ({"key": "a"}, {"key": "a", "warehouse": None}):
        assert method.read_arguments(method.write_arguments(given_arguments)) == given_arguments


def test_amounts_keep_their_places() -> None:
    method = wire.methods(Payments)["refund"]
    written = method.write_arguments({"order_id": "1", "amount": Decimal("10.00"), "reason": "", "key": "k"})
    assert str(method.read_arguments(written)["amount"]) == "10.00"


def test_a_newer_answer_may_say_more() -> None:
    counts = b'"sales": [], "by_status": {}, "attention": 1, "overdue": 2'
    told = b'{"counted_at": "2026-01-02T03:04:05Z", ' + counts + b', "delayed": 3}'
    answer = wire.methods(Orders)["statistics"].read_answer(told)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert vars(answer) == {"counted_at": at, "sales": (), "by_status": {}, "attention": 1, "overdue": 2}


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"counted_at": "2026-01-02T03:04:05Z", "sales": [], "by_status": {}, "attention": "1", "overdue": 2}',
        b'{"counted_at": "2026-01-02T03:04:05Z", "sales": [], "by_status": {}, "attention": 1}',
    ],
)
def test_an_answer_that_is_none_is_malformed(told: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.methods(Orders)["statistics"].read_answer(told)


ERRORS = [
    (Inventory, InsufficientStock("Too little.", items=[{"product_id": 1, "requested": 2, "available": 0}])),
    (Inventory, ReservationExpired("Too late.")),
    (Inventory, InvalidTransition("Released before.", status="RELEASED")),
    (Payments, PaymentDeclined("No.", order_id="ORD-1", payment_id=5)),
    (Payments, PaymentUnknown("Ask again.", order_id="ORD-1")),
    (Orders, OrdersStopped("Closed.")),
    (Orders, IdempotencyInProgress("Wait.")),
    (Orders, ContextUnavailable("Away.")),
]


@pytest.mark.parametrize(("contract", "error"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_is_raised_as_what_it_was(contract: type, error: ContractError) -> None:
    read = wire.read_error(wire.write_error(error), contract)
    assert type(read) is type(error)
    assert (read.message, read.details) == (error.message, error.details)
    assert getattr(read, "retry_after", None) == getattr(error, "retry_after", None)


def test_what_is_unfinished_has_no_status_of_http() -> None:
    written = json.loads(wire.write_error(PaymentUnknown("Ask again.", order_id="ORD-1")))
    assert written == {
        "kinds": ["PaymentUnknown", "Unfinished", "ContractError"],
        "message": "Ask again.",
        "details": {"order_id": "ORD-1"},
    }


def test_what_is_unfinished_in_a_way_that_only_the_other_side_knows_is_unfinished_here() -> None:
    class CarrierSilent(Unfinished):
        pass

    read = wire.read_error(wire.write_error(CarrierSilent("Ask again.")), Inventory)
    assert type(read) is Unfinished


def test_a_refusal_of_a_class_that_only_the_other_side_has_keeps_its_status_and_code() -> None:
    class CarriersOnStrike(InvalidTransition):
        code = "carriers_on_strike"

    read = wire.read_error(wire.write_error(CarriersOnStrike("No.", until="Monday")), Inventory)
    assert isinstance(read, InvalidTransition)
    assert (read.status, read.code) == (409, "carriers_on_strike")
    assert (read.message, read.details) == ("No.", {"until": "Monday"})


def test_every_context_has_a_contract() -> None:
    assert {kind.__module__.split(".")[1] for kind in contracts()} == set(CONTEXTS)
