"""A payment provider behind one HTTP endpoint that takes signed JSON.

Every call is a POST of ``{"operation": …, "key": …, …}``, signed as in ``signing``. The answer is 200 with
``{"in_reply_to": webhook-id, "outcome": "done" | "declined" | "refused" | "unknown", "reference": …, "reason": …}``, to
``list`` with ``{"in_reply_to": …, "operations": [{key, kind, outcome, amount_minor, currency, reference, at}]}``.
Anything else is no answer.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from datetime import date, datetime
from typing import Any

import httpx
from django.conf import settings

from contexts.payments.adapters import signing
from contexts.payments.adapters.gateway import GatewayTimeout, GatewayUnavailable, asked
from contexts.payments.domain import Operation, Outcome
from eci.db import require_no_unit_of_work
from eci.watch import tracing


class SignedHttpGateway:
    """See ``Gateway``."""

    def __init__(self, *, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._kept = threading.local()

    def _client(self) -> httpx.Client:
        """This thread's connection. It stays open between calls, but must not be used across a fork."""
        if getattr(self._kept, "process", None) != os.getpid():
            self._kept.process, self._kept.client = os.getpid(), httpx.Client(trust_env=False)
        client: httpx.Client = self._kept.client
        return client

    def close(self) -> None:
        """Close this thread's connection."""
        self._client().close()
        self._kept.process = None

    def authorise(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        return self._decided("authorise", key, amount_minor=amount_minor, currency=currency, token=token)

    def charge(self, *, key: str, amount_minor: int, currency: str, token: str) -> Outcome:
        return self._decided("charge", key, amount_minor=amount_minor, currency=currency, token=token)

    def capture(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        return self._decided("capture", key, reference=reference, amount_minor=amount_minor, currency=currency)

    def void(self, *, key: str, reference: str) -> Outcome:
        return self._decided("void", key, reference=reference)

    def refund(self, *, key: str, reference: str, amount_minor: int, currency: str) -> Outcome:
        return self._decided("refund", key, reference=reference, amount_minor=amount_minor, currency=currency)

    def lookup(self, *, key: str) -> Outcome | None:
        answer = self._ask(operation="lookup", key=key)
        return None if answer.get("outcome") == "unknown" else _outcome(answer)

    def operations(self, *, day: date) -> list[Operation]:
        answer = self._ask(operation="list", day=day.isoformat())
        try:
            return [Operation(**row | {"at": datetime.fromisoformat(row["at"])}) for row in answer["operations"]]
        except (KeyError, TypeError, ValueError) as error:
            raise GatewayUnavailable("The provider's list cannot be understood.") from error

    def _decided(self, operation: str, key: str, **details: Any) -> Outcome:
        return _outcome(self._ask(operation=operation, key=key, **details))

    def _ask(self, **message: Any) -> dict[str, Any]:
        require_no_unit_of_work("The payment provider was called")
        with asked(message["operation"]):
            return self._answer(message)

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(message).encode()
        message_id = uuid.uuid4().hex
        headers = signing.signed(body, message_id=message_id, secret=self._secret)
        try:
            response = self._client().post(
                self._url,
                content=body,
                headers=headers | {"Content-Type": "application/json"},
                timeout=settings.ECI_GATEWAY_TIMEOUT,
            )
        except httpx.TimeoutException as error:
            raise GatewayTimeout(f"No answer within {settings.ECI_GATEWAY_TIMEOUT} s.") from error
        except httpx.HTTPError as error:
            raise GatewayUnavailable(f"The provider cannot be reached: {error}") from error
        tracing.note({"http.request.method": "POST", "http.response.status_code": response.status_code})
        if response.status_code != 200:
            raise GatewayUnavailable(f"The provider answered {response.status_code}.")
        try:
            answer = response.json()
        except ValueError as error:
            raise GatewayUnavailable("The provider's answer is not JSON.") from error
        if not isinstance(answer, dict) or answer.get("in_reply_to") != message_id:
            self.close()  # what else waits in that connection is no answer to our next question either
            raise GatewayUnavailable("The provider's answer is to another question.")
        return answer


def _outcome(answer: dict[str, Any]) -> Outcome:
    outcome, reference, reason = answer.get("outcome"), answer.get("reference"), answer.get("reason", "")
    known = outcome in ("done", "declined", "refused") and isinstance(reference, str) and isinstance(reason, str)
    if not known:
        raise GatewayUnavailable("The provider's answer cannot be understood.")
    return Outcome(done=outcome == "done", reference=str(reference)[:100], reason=reason)
