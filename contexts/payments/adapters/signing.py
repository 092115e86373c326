"""Messages between us and a provider, signed as in the Standard Webhooks specification.

The headers are webhook-id, webhook-timestamp and webhook-signature. The signature is an HMAC-SHA256 of the message's
id, its time and its raw body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

TOLERANCE = 300  # seconds a message's time may differ from ours, either way
_LONGEST_ID = 255


class BadSignature(Exception):
    """The message's sender does not know a secret, or the message is not from now."""


def signed(body: bytes, *, message_id: str, secret: str, at: int | None = None) -> dict[str, str]:
    """The headers that go with the body. ``at``: seconds since the epoch; default now."""
    timestamp = str(int(time.time()) if at is None else at)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": _signature(body, message_id, timestamp, secret),
    }


def verified(body: bytes, headers: Mapping[str, str], *, secrets: Sequence[str]) -> str:
    """The id of the message, once a signature of it is found to be made with one of our secrets. BadSignature."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not 0 < len(message_id) <= _LONGEST_ID or not (timestamp.isascii() and timestamp.isdecimal()):
        raise BadSignature("The webhook-id or webhook-timestamp header is missing or malformed.")
    if len(timestamp) > 12 or abs(time.time() - int(timestamp)) > TOLERANCE:
        raise BadSignature("The message is too old, or its time lies in the future.")
    given = [one.encode() for one in headers.get("webhook-signature", "").split(" ")]
    good = [_signature(body, message_id, timestamp, secret).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, other) for one in given for other in good):
        raise BadSignature("No signature of the message is valid.")
    return message_id


def _signature(body: bytes, message_id: str, timestamp: str, secret: str) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()
