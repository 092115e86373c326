"""The payment provider, as the configuration names it."""

from __future__ import annotations

from django.conf import settings

from contexts.payments.adapters.gateway import Gateway


def configured_gateway() -> Gateway:
    """The provider that ``ECI_GATEWAY`` names."""
    if settings.ECI_GATEWAY == "http":
        from contexts.payments.adapters.signed_http import SignedHttpGateway

        return SignedHttpGateway(url=settings.ECI_GATEWAY_URL, secret=settings.ECI_GATEWAY_SECRET)
    from contexts.payments.adapters.sandbox import SandboxGateway

    return SandboxGateway()
