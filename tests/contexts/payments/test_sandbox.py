"""The sandbox provider keeps its own books right, however it is called."""

from __future__ import annotations

import pytest

from contexts.payments.adapters.gateway import GatewayTimeout
from contexts.payments.adapters.sandbox import SandboxGateway

pytestmark = pytest.mark.no_database

sandbox = SandboxGateway()


def authorised(key: str = "p", token: str = "") -> str:
    outcome = sandbox.authorise(key=key, amount_minor=1000, currency="USD", token=token)
    assert outcome.done
    return outcome.reference


def capture(reference: str, key: str = "c", amount: int = 1000) -> bool:
    return sandbox.capture(key=key, reference=reference, amount_minor=amount, currency="USD").done


def refund(reference: str, key: str, amount: int) -> bool:
    return sandbox.refund(key=key, reference=reference, amount_minor=amount, currency="USD").done


def test_the_same_key_gets_the_same_answer(ledger: object) -> None:
    assert authorised() == authorised()
    declined = sandbox.charge(key="d", amount_minor=5, currency="USD", token="tok_declined")
    assert declined == sandbox.charge(key="d", amount_minor=5, currency="USD", token="")
    assert not declined.done


def test_a_key_is_not_lent_to_another_operation() -> None:
    authorised()
    assert not sandbox.authorise(key="p", amount_minor=999, currency="USD", token="").done


def test_no_more_is_captured_than_authorised_nor_refunded_than_captured() -> None:
    reference = authorised()
    assert not refund(reference, "r0", 1)
    assert not capture(reference, "c0", 1001)
    assert capture(reference, "c1", 600)
    assert not capture(reference, "c2", 401)
    assert refund(reference, "r1", 600)
    assert not refund(reference, "r2", 1)


def test_void_and_capture_exclude_each_other() -> None:
    voided, taken = authorised("a"), authorised("b")
    assert sandbox.void(key="v", reference=voided).done
    assert not capture(voided, "c1")
    assert capture(taken, "c2")
    assert not sandbox.void(key="w", reference=taken).done


@pytest.mark.parametrize(("token", "done"), [("tok_timeout", True), ("tok_timeout_declined", False)])
def test_silent_tokens_leave_one_call_unanswered_and_answer_later(token: str, done: bool) -> None:
    assert sandbox.lookup(key="p") is None
    with pytest.raises(GatewayTimeout):
        sandbox.authorise(key="p", amount_minor=1000, currency="USD", token=token)
    found = sandbox.lookup(key="p")
    assert found is not None
    assert found.done is done
    assert sandbox.authorise(key="p", amount_minor=1000, currency="USD", token=token) == found
