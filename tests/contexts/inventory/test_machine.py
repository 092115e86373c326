"""A state machine of stock against a model in plain Python: forced counts, what is owed, payments that wait.

No unit is sold twice or lost, what is owed is exact, and the audit finds nothing after any step. What was recorded
after each is in the end what stock was as of that instant.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from contexts.inventory import past, selectors
from contexts.inventory.models import Allocation, Reservation, Stock
from contexts.inventory.services import holds, stock, sweeping
from eci.clock import utcnow
from eci.errors import EciError

SEED = int(os.environ.get("ECI_MODEL_SEED", random.randrange(2**32)))
HOLDING = ("OPEN", "SHORT")
_numbers = itertools.count(1)

codes = st.sampled_from("AB")
units = st.integers(1, 9)
some = st.integers(0, 10**6)


@dataclass
class Part:
    """One warehouse's part of a hold; ``age`` orders them all, the oldest first."""

    code: str
    units: int
    age: int
    state: str = "OPEN"
    back: int = 0


@dataclass
class Hold:
    units: int
    paying: bool
    firm: bool = False
    parts: list[Part] = field(default_factory=list)

    @property
    def states(self) -> set[str]:
        return {part.state for part in self.parts}

    @property
    def status(self) -> str:
        if self.states & set(HOLDING):
            return "CONFIRMED" if self.firm else "RESERVED"
        return next(state for state in ("SHIPPED", "EXPIRED", "RELEASED") if state in self.states)

    @property
    def unpaid(self) -> bool:
        return self.status == "RESERVED" and not self.paying

    def close(self, state: str) -> None:
        """Gives what it holds this state."""
        for part in self.parts:
            if part.state in HOLDING:
                part.state = state


class Refused(Exception):
    pass


class Model:
    """One product in warehouses A and B."""

    def __init__(self) -> None:
        self.on_hand = {"A": 0, "B": 0}
        self.open = {"A", "B"}
        self.holds: dict[str, Hold] = {}
        self.ages = itertools.count()

    def parts(self, code: str, *states: str) -> list[Part]:
        found = [part for hold in self.holds.values() for part in hold.parts if part.code == code]
        return sorted((part for part in found if part.state in states), key=lambda part: part.age)

    def sum(self, code: str, *states: str) -> int:
        return sum(part.units for part in self.parts(code, *states))

    def free(self, code: str) -> int:
        return self.on_hand[code] - self.sum(code, "OPEN")

    def available(self, code: str) -> int:
        owed = sum(self.sum(other, "SHORT") for other in self.on_hand)
        return max(0, self.free(code) - owed) if code in self.open else 0

    def cover(self) -> None:
        for code in self.on_hand:
            for part in self.parts(code, "SHORT"):
                if self.free(code) < part.units:
                    break
                part.state = "OPEN"
        free = {code: 0 if self.parts(code, "SHORT") else self.free(code) for code in self.on_hand}
        lacking = sorted((part for code in free for part in self.parts(code, "SHORT")), key=lambda part: part.age)
        for part in lacking:
            hold = next(hold for hold in self.holds.values() if part in hold.parts)
            code = "B" if part.code == "A" else "A"
            there = next((one for one in hold.parts if one.code == code), None)
            if code in self.open and (there is None or there.state == "OPEN"):
                if free[code] < part.units:
                    free[code] = 0
                    continue
                free[code] -= part.units
                part.code, part.state = code, "OPEN"
                if there is not None:
                    there.units += part.units
                    hold.parts = [there]

    def require(self, kept: bool, code: str) -> None:
        if not kept:
            raise Refused(code)

    # -- stock

    def change(self, code: str, delta: int) -> None:
        self.require(self.on_hand[code] + delta >= self.sum(code, "OPEN"), "below_reserved")
        self.on_hand[code] += delta
        self.cover()

    def force(self, code: str, on_hand: int) -> None:
        missing = self.sum(code, "OPEN") - on_hand
        newest = self.parts(code, "OPEN")[::-1]
        owner = {id(part): hold for hold in self.holds.values() for part in hold.parts}
        unpaid = [part for part in newest if owner[id(part)].unpaid]
        for part in [*unpaid, *(part for part in newest if part not in unpaid)]:
            if missing <= 0:
                break
            missing -= part.units
            if part in unpaid:
                owner[id(part)].close("RELEASED")
            else:
                part.state = "SHORT"
        self.on_hand[code] = on_hand
        self.cover()

    def move(self, source: str, target: str, quantity: int) -> None:
        self.require(self.free(source) - self.sum(source, "SHORT") >= quantity, "insufficient_stock")
        self.on_hand[source] -= quantity
        self.on_hand[target] += quantity
        self.cover()

    def give_back(self, hold: Hold, count: int) -> None:
        shipped = [part for part in hold.parts if part.state == "SHIPPED"]
        self.require(count <= sum(part.units - part.back for part in shipped), "invalid_transition")
        for part in sorted(shipped, key=lambda part: part.code):
            taken = min(count, part.units - part.back)
            part.back += taken
            count -= taken
            self.on_hand[part.code] += taken
        self.cover()

    # -- holds

    def enough(self, count: int) -> None:
        self.require(sum(map(self.available, self.on_hand)) >= count, "insufficient_stock")

    def fill(self, hold: Hold, taken: dict[str, int]) -> None:
        assert sum(taken.values()) == hold.units
        assert all(count <= self.available(code) for code, count in taken.items())
        hold.parts = [Part(code, taken[code], next(self.ages)) for code in sorted(taken)]

    def confirm(self, hold: Hold) -> None:
        self.require("EXPIRED" not in hold.states, "reservation_expired")
        self.require(hold.status != "RELEASED", "invalid_transition")
        if hold.status == "RESERVED":
            hold.firm, hold.paying = True, False

    def release(self, hold: Hold) -> None:
        self.require(hold.states != {"SHIPPED"}, "invalid_transition")
        hold.close("RELEASED")
        self.cover()

    def ship(self, hold: Hold, code: str | None, left: bool) -> None:
        concerned = [part for part in hold.parts if code in (None, part.code)]
        states = {part.state for part in concerned}
        self.require(bool(concerned), "not_found")
        self.require("EXPIRED" not in states, "reservation_expired")
        self.require(left or "SHORT" not in states, "insufficient_stock")
        self.require(bool(states & {*HOLDING, "SHIPPED"}), "invalid_transition")
        for part in concerned:
            if part.state == "OPEN":
                self.on_hand[part.code] -= part.units
            if part.state in HOLDING:
                part.state = "SHIPPED"
        self.cover()

    def stop_paying(self, hold: Hold) -> None:
        if hold.status == "RESERVED" and hold.paying:
            hold.paying = False
            if "SHORT" in hold.states:
                hold.close("EXPIRED")
                self.cover()


class StockAndModel(RuleBasedStateMachine):
    steps = 0

    @initialize()
    def open(self) -> None:
        self.run = next(_numbers)
        self.product = 10**9 + self.run
        self.model = Model()
        self.recordings: list[tuple[datetime, dict[str, tuple[int, int, int, int]]]] = []
        for priority, code in enumerate(self.model.on_hand):
            name = self.code(code)
            stock.create_warehouse(code=name, name=name, priority=priority, address="", is_active=True, actor="t")
            self.receive(code, 9)

    def code(self, letter: str) -> str:
        return f"{letter}{self.run}"

    def both(self, expected: Callable[[], None], real: Callable[[], Any]) -> Any:
        """Does it in the model and for real: both do it, or both refuse it for the same reason."""
        try:
            expected()
            refused = ""
        except Refused as refusal:
            refused = str(refusal)
        try:
            result = real()
        except EciError as refusal:
            assert refusal.code == refused, refusal
            return None
        assert not refused, refused
        return result

    def some_hold(self, which: int) -> tuple[str, Hold]:
        return list(self.model.holds.items())[which % len(self.model.holds)]

    # -- stock

    @rule(code=codes, count=units)
    def receive(self, code: str, count: int) -> None:
        asked: dict[str, Any] = {"reorder_point": None, "actor": "t", "create_warehouse": False}
        real = lambda: stock.receive(product_id=self.product, warehouse=self.code(code), quantity=count, **asked)  # noqa: E731
        self.both(lambda: self.model.change(code, count), real)

    @rule(code=codes, delta=st.integers(-9, 9).filter(bool))
    def adjust(self, code: str, delta: int) -> None:
        asked: dict[str, Any] = {"product_id": self.product, "warehouse": self.code(code), "delta": delta}
        self.both(lambda: self.model.change(code, delta), lambda: stock.adjust(**asked, reason="found", actor="t"))

    @rule(code=codes, on_hand=st.integers(0, 12), force=st.booleans())
    def count(self, code: str, on_hand: int, force: bool) -> None:
        row = Stock.objects.get(product_id=self.product, warehouse=self.code(code))
        asked: dict[str, Any] = {"inventory_id": row.pk, "on_hand": on_hand, "reorder_point": None}

        def expected() -> None:
            if force:
                self.model.force(code, on_hand)
            elif on_hand != self.model.on_hand[code]:
                self.model.change(code, on_hand - self.model.on_hand[code])

        self.both(expected, lambda: stock.count(**asked, force=force, reason="count", actor="t"))

    @rule(source=codes, count=units)
    def transfer(self, source: str, count: int) -> None:
        target = "B" if source == "A" else "A"
        asked: dict[str, Any] = {"from_warehouse": self.code(source), "to_warehouse": self.code(target)}
        self.both(
            lambda: self.model.move(source, target, count),
            lambda: stock.transfer(product_id=self.product, quantity=count, actor="t", **asked),
        )

    @rule(code=codes, is_open=st.booleans())
    def open_or_close(self, code: str, is_open: bool) -> None:
        self.model.open = self.model.open | {code} if is_open else self.model.open - {code}
        self.model.cover()
        stock.update_warehouse(code=self.code(code), is_active=is_open, actor="t")

    # -- holds

    @rule(count=units, paying=st.booleans(), firm=st.booleans())
    def reserve(self, count: int, paying: bool, firm: bool) -> None:
        key = f"{self.run}-{len(self.model.holds)}"
        hold = Hold(count, paying)
        rows = self.both(lambda: self.model.enough(count), lambda: self.really_reserve(key, hold))
        if rows:
            self.model.fill(hold, self.taken(rows))
            self.model.holds[key] = hold
            if firm:
                self.model.confirm(hold)
                holds.confirm(key=key)

    def really_reserve(self, key: str, hold: Hold, **more: Any) -> Any:
        demand = {self.product: hold.units}
        return holds.reserve(key=key, order_id=f"X{key}", demand=demand, seconds=600, paying=hold.paying, **more)

    def taken(self, rows: Any) -> dict[str, int]:
        return {one.warehouse_id[0]: one.quantity for one in rows.allocations}

    @precondition(lambda self: self.model.holds)
    @rule(which=some)
    def reserve_again(self, which: int) -> None:
        key, hold = self.some_hold(which)
        before = hold.status

        def expected() -> None:
            self.model.require(before != "RELEASED", "invalid_transition")
            if before == "EXPIRED":
                self.model.enough(hold.units)

        hold.paying = before in ("RESERVED", "EXPIRED")
        rows = self.both(expected, lambda: self.really_reserve(key, hold, again=True))
        if rows and before == "EXPIRED":
            hold.firm, hold.parts = False, []
            self.model.fill(hold, self.taken(rows))

    @precondition(lambda self: self.model.holds)
    @rule(which=some, verb=st.sampled_from(["confirm", "release", "stop_paying"]))
    def change(self, which: int, verb: str) -> None:
        key, hold = self.some_hold(which)
        more = {"seconds": 600} if verb == "stop_paying" else {}
        self.both(lambda: getattr(self.model, verb)(hold), lambda: getattr(holds, verb)(key=key, **more))

    @precondition(lambda self: self.model.holds)
    @rule(which=some, code=st.none() | codes, left=st.booleans())
    def ship(self, which: int, code: str | None, left: bool) -> None:
        key, hold = self.some_hold(which)
        asked: dict[str, Any] = {"key": key, "warehouse": code and self.code(code), "left": left}
        self.both(lambda: self.model.ship(hold, code, left), lambda: holds.ship(**asked, actor="t"))

    @precondition(lambda self: self.model.holds)
    @rule(which=some, count=units)
    def give_back(self, which: int, count: int) -> None:
        key, hold = self.some_hold(which)
        asked: dict[str, Any] = {"order_id": f"X{key}", "reference": f"r{next(_numbers)}", "disposition": "resell"}
        self.both(
            lambda: self.model.give_back(hold, count),
            lambda: stock.restock(returned={self.product: count}, actor="t", **asked),
        )

    @precondition(lambda self: any(hold.unpaid for hold in self.model.holds.values()))
    @rule(which=some)
    def run_out(self, which: int) -> None:
        unpaid = [(key, hold) for key, hold in self.model.holds.items() if hold.unpaid]
        key, hold = unpaid[which % len(unpaid)]
        now = utcnow()
        Reservation.objects.filter(key=key).update(expires_at=now)
        held = Allocation.objects.filter(reservation__key=key, lapses_at__isnull=False)
        held.update(lapses_at=now)
        while held.filter(lapses_at__gt=Now()).exists():
            """SQLite's clock shows milliseconds."""
        hold.close("EXPIRED")
        if any(self.model.sum(code, "SHORT") for code in "AB"):  # else it counts for nothing before it is swept
            sweeping.sweep_batch()
            self.model.cover()

    @rule()
    def sweep(self) -> None:
        sweeping.sweep_batch()
        rows = {row.warehouse_id[0]: row for row in Stock.objects.filter(product_id=self.product)}
        for code, row in rows.items():
            assert (row.reserved, row.owed) == (self.model.sum(code, "OPEN"), self.model.sum(code, "SHORT"))
        for key, hold in self.model.holds.items():
            found = selectors.reservations_by_key(keys=[key])[key]
            assert found.reservation.status == hold.status
            held = sorted((part.code, part.units, part.state) for part in hold.parts)
            assert [(one.warehouse_id[0], one.quantity, one.state) for one in found.allocations] == held
            assert found.reservation.needs_attention == ("SHORT" in hold.states)

    def teardown(self) -> None:
        self.sweep()
        for moment, recorded in self.recordings:
            rows = past.product_as_of(product_id=self.product, moment=moment)
            then = {row.warehouse: (row.on_hand, row.reserved, row.owed, row.available) for row in rows}
            assert then == recorded, moment

    @invariant()
    def no_unit_is_sold_twice_or_lost(self) -> None:
        type(self).steps += 1
        moment, found = utcnow(), selectors.availability(product_ids=[self.product])[self.product]
        recorded = {row.warehouse_id: (row.on_hand, row.held, row.owed, row.available) for row in found}
        self.recordings.append((moment, recorded))
        rows = {row.warehouse_id[0]: row for row in found}
        for code, on_hand in self.model.on_hand.items():
            assert (rows[code].on_hand, rows[code].available) == (on_hand, self.model.available(code))
        assert selectors.audit() == ()


@pytest.mark.long
def test_stock_does_what_the_model_does(capsys: pytest.CaptureFixture[str]) -> None:
    """ECI_MODEL_SEED repeats a run and shortens its failure."""
    with capsys.disabled():
        print(f"\nECI_MODEL_SEED={SEED}")
    StockAndModel.steps = 0
    how = settings(
        max_examples=int(os.environ.get("ECI_MODEL_EXAMPLES", "4")),
        stateful_step_count=60,
        phases=[Phase.generate, Phase.shrink] if "ECI_MODEL_SEED" in os.environ else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(SEED)(StockAndModel), settings=how)
    assert StockAndModel.steps >= 150
