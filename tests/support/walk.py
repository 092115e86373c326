"""A walk through the site by its links, and the kinds of pages that the URL map knows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver, resolve

from tests.support.browser import Person


@dataclass(frozen=True)
class Place:
    """A line of the URL map, with what ``resolve`` says of its addresses."""

    route: str
    func: Any
    url_name: str | None
    kwargs: dict[str, Any] = field(default_factory=dict)


def places() -> Iterator[Place]:
    """Those where a page may be: not what always leads on to another, or is refused even to an administrator."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True)
    for place in _below(get_resolver().url_patterns, ""):
        admin, what = _of_admin(place)
        if (
            admin is None
            or what not in ("", "add", "delete")
            or (what and getattr(admin, f"has_{what}_permission")(request))
        ):
            yield place


def _below(found: Any, before: str) -> Iterator[Place]:
    for one in found:
        route = before + str(one.pattern).removeprefix("^")
        if isinstance(one, URLPattern):
            yield Place(route, one.callback, one.name)
        else:
            yield from _below(one.url_patterns, route)


def _of_admin(place: Any) -> tuple[Any, str]:
    return getattr(place.func, "model_admin", None), (place.url_name or "").rpartition("_")[2]


def kind(place: Any) -> str:
    """Rows of one class of admin have one kind of page, whichever table they are of, and every history is alike."""
    admin, what = _of_admin(place)
    if admin is None:
        return str(place.route).replace("<str:command>", place.kwargs.get("command", "<str:command>"))
    return what if what == "history" else f"{type(admin).__name__} {what}"


def walk(person: Person, *starts: str, within: tuple[str, ...], past: Collection[str]) -> tuple[set[str], list[str]]:
    """The kinds of pages that links lead to from these, ``within`` these folders, and what is wrong with the first one
    of each."""
    seen: set[str] = set()
    flaws: list[str] = []
    waiting = list(starts)
    while waiting:
        address = waiting.pop(0)
        which = kind(resolve(urlsplit(address).path))
        if which in seen or which in past:
            continue
        seen.add(which)
        person.page.goto(address)
        waiting += [link for link in person.links() if link.startswith(within)]
        flaws += person.flaws()
    return seen, flaws
