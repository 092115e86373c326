"""Why no new orders are taken, in words that customers read."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from eci.forms import CardlessTextField

MAX_REASON = 300


def reason_to_stop(given: str) -> str:
    """ValueError with a sentence, also where there is none."""
    field = CardlessTextField(max_length=MAX_REASON, error_messages={"required": "Give a reason: customers see it."})
    try:
        reason: str = field.clean(given)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    return reason
