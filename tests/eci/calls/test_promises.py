"""A change of a contract that processes of before or after would not understand is found; an additive one is not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import ModuleType
from typing import Any, ClassVar

import pytest

from eci.calls.promises import broken, promises
from eci.errors import Conflict
from eci.events import Event

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


class Colour(StrEnum):
    RED = "RED"
    BLUE = "BLUE"


class MoreColours(StrEnum):
    RED = "RED"
    BLUE = "BLUE"
    GREEN = "GREEN"


class FewerColours(StrEnum):
    RED = "RED"


@dataclass(frozen=True, kw_only=True)
class Lamp:
    lamp_id: int
    price: Decimal | None
    colour: Colour = Colour.RED
    parts: tuple[Lamp, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LampWithMore(Lamp):
    weight: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class LampWithLess:
    lamp_id: int
    colour: Colour = Colour.RED
    parts: tuple[LampWithLess, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LampOfText:
    lamp_id: str
    price: Decimal | None
    colour: Colour = Colour.RED
    parts: tuple[LampOfText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LampOfMoreColours:
    lamp_id: int
    price: Decimal | None
    colour: MoreColours = MoreColours.RED
    parts: tuple[Lamp, ...] = ()


class Shop(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> Lamp: ...


class WithAnotherCall(Shop):
    @abstractmethod
    def sell(self, *, lamp_id: int) -> None: ...


class WithAnOption(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: MoreColours, coats: int = 1, gloss: bool = False) -> LampWithMore: ...


class WithANeed(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, gloss: bool, coats: int = 1) -> Lamp: ...


class WithoutAnOption(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour) -> Lamp: ...


class OfFewerColours(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: FewerColours, coats: int = 1) -> Lamp: ...


class OfText(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: str, colour: Colour, coats: int = 1) -> Lamp: ...


class AnsweringLess(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> LampWithLess: ...


class AnsweringText(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> LampOfText: ...


class AnsweringMoreColours(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> LampOfMoreColours: ...


class AnsweringNothing(ABC):
    @abstractmethod
    def paint(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> Lamp | None: ...


class Renamed(ABC):
    @abstractmethod
    def colour(self, *, lamp_id: int, colour: Colour, coats: int = 1) -> Lamp: ...


NO_EVENTS = ModuleType("no_events")


def changed(contract: type) -> list[str]:
    return broken(promises(Shop, NO_EVENTS), promises(contract, NO_EVENTS))


@pytest.mark.parametrize("contract", [Shop, WithAnotherCall, WithAnOption])
def test_what_is_added_breaks_nothing(contract: type) -> None:
    assert changed(contract) == []


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        (WithANeed, "paint, arguments: gloss is needed, but not always there."),
        (WithoutAnOption, "paint, arguments: coats is not known any more."),
        (OfFewerColours, "paint, arguments: colour: BLUE is not understood."),
        (OfText, "paint, arguments: lamp_id: integer instead of string."),
        (AnsweringLess, "paint, answer: price is needed, but not always there."),
        (AnsweringText, "paint, answer: lamp_id: string instead of integer."),
        (AnsweringMoreColours, "paint, answer: colour: GREEN is not understood."),
        (AnsweringNothing, "paint, answer: null instead of object."),
        (Renamed, "paint is gone."),
    ],
)
def test_what_breaks_is_said(contract: type, said: str) -> None:
    assert said in changed(contract)


def events(**fields: tuple[Any, ...]) -> ModuleType:
    """A module with one event, whose fields are ``name=(kind,)`` or ``name=(kind, default)``."""
    module = ModuleType("events")
    body: dict[str, Any] = {
        "NAME": "shop.painted.v1",
        "AGGREGATE": "lamp_id",
        "__module__": "events",
        "__annotations__": {"NAME": ClassVar[str], **{name: kind[0] for name, kind in fields.items()}},
        **{name: kind[1] for name, kind in fields.items() if len(kind) > 1},
    }
    vars(module)["Painted"] = dataclass(frozen=True, kw_only=True)(type("Painted", (Event,), body))
    return module


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lamp_id": (int,), "colour": (str,)}, []),
        ({"lamp_id": (int,), "colour": (str,), "coats": (int, 1)}, []),
        (
            {"lamp_id": (int,)},
            ["shop.painted.v1, read by a consumer of before: colour is needed, but not always there."],
        ),
        (
            {"lamp_id": (int,), "colour": (str,), "coats": (int,)},
            ["shop.painted.v1, written before and read now: coats is needed, but not always there."],
        ),
        (
            {"lamp_id": (str,), "colour": (str,)},
            [
                "shop.painted.v1, read by a consumer of before: lamp_id: string instead of integer.",
                "shop.painted.v1, written before and read now: lamp_id: integer instead of string.",
            ],
        ),
    ],
)
def test_an_event_stays_readable_both_ways(fields: dict[str, Any], said: list[str]) -> None:
    before = promises(Shop, events(lamp_id=(int,), colour=(str,)))
    assert broken(before, promises(Shop, events(**fields))) == said


def test_a_code_of_an_error_stays() -> None:
    before = promises(Shop, NO_EVENTS)
    assert Conflict.__name__ not in before["errors"], "the kernel's errors are everybody's"
    before["errors"] = {"Stuck": "stuck", "Lost": "lost"}
    now = before | {"errors": {"Stuck": "is_stuck"}}
    assert broken(before, now) == ["Lost is gone.", "Stuck has another code."]
