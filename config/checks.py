"""Start-up checks of the shop's settings: wrong settings are reported at start-up, not at the first request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from eci import money
from eci.checks import OWN


@register(*OWN)
def shop_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not money.is_currency(settings.ECI_CURRENCY):
        found.append(Error("ECI_CURRENCY is not an ISO 4217 code.", id="eci.E001"))
    if not 0 <= settings.ECI_TAX_RATE < 1:
        found.append(Error("ECI_TAX_RATE must be a fraction from 0 to less than 1, such as 0.05.", id="eci.E002"))
    if settings.ECI_RESERVATION_SECONDS < 1:
        found.append(Error("ECI_RESERVATION_SECONDS must be at least 1.", id="eci.E004"))
    if settings.ECI_MAX_UNITS_PER_LINE < 1:
        found.append(Error("ECI_MAX_UNITS_PER_LINE must be at least 1.", id="eci.E008"))
    if settings.ECI_RETURN_DAYS < 0:
        found.append(Error("ECI_RETURN_DAYS must not be negative.", id="eci.E009"))
    return found


@register(*OWN)
def proxies(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """TLS ends at a proxy, which says what was https: without a word of it every request looks like plain http."""
    is_believed = bool(settings.SECURE_PROXY_SSL_HEADER)
    if settings.SECURE_SSL_REDIRECT and not (is_believed and settings.ECI_TRUSTED_PROXIES):
        words = (
            "ECI_HTTPS_REDIRECT=1 needs ECI_TRUST_FORWARDED_PROTO=1 and ECI_TRUSTED_PROXIES: without them https is "
            "never recognised, and the redirect never ends."
        )
        return [Error(words, id="eci.E023")]
    if is_believed and not settings.ECI_TRUSTED_PROXIES:
        return [Warning("ECI_TRUST_FORWARDED_PROTO does nothing without ECI_TRUSTED_PROXIES.", id="eci.W024")]
    return []


@register(*OWN)
def hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS and not settings.ECI_DEBUG:
        words = "ECI_ALLOWED_HOSTS=* takes any host name, also an attacker's. Name the shop's own."
        return [Warning(words, id="eci.W025")]
    return []
