"""Rate limits of customers and anonymous callers, by class of request. A view names its class as ``rate``."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from eci.limits import Rate

DEFAULTS = {
    "read": Rate(account=1_200, address=12_000, seconds=60),
    "write": Rate(account=240, address=2_400, seconds=60),
    "order": Rate(account=60, address=3_000, seconds=60),
    "quote": Rate(account=240, address=3_000, seconds=60),
    "charge": Rate(account=60, address=3_000, seconds=60),
    "login": Rate(account=300, address=300, seconds=300),
    "sign_in": Rate(account=0, address=300, seconds=300),
    "register": Rate(account=600, address=600, seconds=3_600),
    "reset": Rate(account=60, address=60, seconds=3_600),
    "export": Rate(account=20, address=200, seconds=3_600),
    "refused": Rate(account=600, address=600, seconds=60),
}


def parse(text: str) -> dict[str, Rate]:
    """The limits after changes like ``order=30/600/60,read=0``, or ``off`` for none. ImproperlyConfigured.

    The numbers are requests by account, requests by address, and seconds; ``0`` means no limit.
    """
    if text == "off":
        return dict.fromkeys(DEFAULTS, Rate(account=0, address=0, seconds=1))
    rates = dict(DEFAULTS)
    for entry in filter(None, text.split(",")):
        name, _, numbers = entry.partition("=")
        try:
            if name not in DEFAULTS:
                raise ValueError
            account, address, seconds = (0, 0, 1) if numbers == "0" else map(int, numbers.split("/"))
            if min(account, address) < 0 or seconds < 1:
                raise ValueError
        except ValueError:
            raise ImproperlyConfigured(
                f"ECI_RATE_LIMITS: '{entry}' is not <class>=<by account>/<by address>/<seconds>, or <class>=0; "
                f"classes are {', '.join(DEFAULTS)}."
            ) from None
        rates[name] = Rate(account=account, address=address, seconds=seconds)
    return rates
