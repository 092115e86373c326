"""Rate limits at the door, by account and by address. Staff have none."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.http import HttpRequest

from eci import limits
from eci.errors import EciError, NotAuthenticated
from eci.identity.auth import Caller
from eci.identity.names import likeness
from eci.limits import Limit, Quota

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def take(request: HttpRequest, caller: Caller, rate: str) -> Quota | None:
    """Count the request in its class. What is left of the limit, or None for a caller without one. Throttled."""
    if settings.ECI_OPEN or caller.is_staff:
        return None
    allowed = settings.ECI_RATE_LIMITS[rate]
    found = {}
    if allowed.address:
        name = f"{rate}:address:{client_address(request)}"
        found[name] = Limit(times=allowed.address, seconds=allowed.seconds)
    if allowed.account and caller.customer_id is not None:
        found[f"{rate}:account:{caller.name}"] = Limit(times=allowed.account, seconds=allowed.seconds)
    return limits.take(found) if found else None


@contextmanager
def password_guess(
    request: HttpRequest, account: str, *, name: str = "", wrong: type[EciError] = NotAuthenticated
) -> Iterator[None]:
    """Put this around the check of a password or a secret, which raises ``wrong`` for a wrong one. Only those count.

    ``account`` is the one that was found; ``name`` what was typed, as ``named`` makes it. Throttled after too many:
    see ``limits.begin_login``.
    """
    if settings.ECI_OPEN:
        yield
        return
    attempt = limits.begin_login(account=account, name=name, address=client_address(request))
    try:
        yield
    except wrong:
        raise
    except BaseException:
        attempt.take_back()
        raise
    attempt.was_right()


def named(kind: str, typed: str) -> str:
    """What guesses at a typed name are counted by, whether or not anybody has it: ``customer``'s or ``staff``'s."""
    return f"{kind}-named:{likeness(typed)}"


def headers(quota: Quota) -> dict[str, str]:
    """The headers of draft-ietf-httpapi-ratelimit-headers-06, which most clients know."""
    return {
        "RateLimit-Limit": str(quota.limit.times),
        "RateLimit-Remaining": str(quota.left),
        "RateLimit-Reset": str(quota.resets_in),
        "RateLimit-Policy": f"{quota.limit.times};w={quota.limit.seconds}",
    }


def client_address(request: HttpRequest) -> str:
    """Where the request comes from. Of X-Forwarded-For only the part that trusted proxies wrote is believed.

    An IPv6 address counts as its /64 network, because one household has all of it.
    """
    hops = [request.META.get("REMOTE_ADDR", ""), *reversed(request.headers.get("X-Forwarded-For", "").split(","))]
    nearest = ""
    for hop in hops:
        address = _address(hop)
        if address is None:
            break  # no proxy of ours wrote this, so the rest cannot be trusted either
        nearest = str(address if address.version == 4 else ipaddress.ip_network(f"{address}/64", strict=False))
        if not is_trusted_proxy(hop):
            break
    return nearest or "unknown"


def is_trusted_proxy(text: str) -> bool:
    """Whether this is the address of a proxy that ``ECI_TRUSTED_PROXIES`` names."""
    address = _address(text)
    return address is not None and any(address in network for network in _networks(tuple(settings.ECI_TRUSTED_PROXIES)))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@functools.cache
def _networks(texts: Iterable[str]) -> list[_Network]:
    return [ipaddress.ip_network(text) for text in texts]
