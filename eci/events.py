"""Events: facts with versioned names, made of ids and other JSON values, never of personal data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of every event. ``version`` counts its aggregate's changes, so a handler recognises outdated events."""

    NAME: ClassVar[str]
    AGGREGATE: ClassVar[str]  # the field that names what the event is about

    version: int

    @property
    def aggregate_id(self) -> str:
        return str(getattr(self, self.AGGREGATE))

    def payload(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Unknown fields are ignored, so that a newer producer may add some."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in payload.items() if name in known})


Handler = Callable[[Any], None]
_handlers: dict[tuple[str, str], tuple[type[Event], Handler]] = {}


def subscribe(consumer: str, event: type[Event], handler: Handler) -> None:
    """Deliver ``event`` to this handler of the context ``consumer``. Called once, from the context's ``ready()``."""
    _handlers[consumer, event.NAME] = (event, handler)


@contextmanager
def replaced(handlers: dict[tuple[str, str], tuple[type[Event], Handler]]) -> Iterator[None]:
    """A door for tests: inside the ``with`` block only these handlers exist, by consumer and name of the event."""
    before = dict(_handlers)
    _handlers.clear()
    _handlers.update(handlers)
    try:
        yield
    finally:
        _handlers.clear()
        _handlers.update(before)


def handler_of(consumer: str, name: str) -> tuple[type[Event], Handler] | None:
    return _handlers.get((consumer, name))


def subscriptions() -> set[tuple[str, str]]:
    """All handlers of this process, as (consumer, event name)."""
    return set(_handlers)
