"""The internal endpoint: other processes call the contexts of this process here, and deliver events to them.

It takes service tokens only, and calls nothing but the methods of a context's contract. Answers have no envelope: the
caller is ``eci.calls.remote``, which must distinguish the contract's own errors from every other failure.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pydantic import TypeAdapter

from eci import events, outbox
from eci.calls import rpc, service_tokens, wire
from eci.calls.remote import REFUSED
from eci.errors import ContractError, EciError, InvalidRequest, NotAuthenticated, NotFound
from eci.http.envelope import describe
from eci.watch import requests


@csrf_exempt
@require_POST
def call(request: HttpRequest, context: str, method: str) -> HttpResponse:
    try:
        _admit(request, context)
        contract, implementation = rpc.served(context)
        codec = wire.methods(contract).get(method)
        if codec is None:
            raise NotFound(f"{context} has no such method.")
        arguments = _read(codec.read_arguments, request)
        requests.about_order(arguments.get("order_id") or arguments.get("key"))  # a key of ours is the id of an order
    except EciError as refusal:
        return _refused(refusal)
    try:
        answer = getattr(implementation, method)(**arguments)
    except ContractError as error:
        return HttpResponse(wire.write_error(error), status=REFUSED, content_type="application/json")
    return HttpResponse(codec.write_answer(answer), content_type="application/json")


@csrf_exempt
@require_POST
def deliver(request: HttpRequest, context: str, event: str) -> HttpResponse:
    """204 once the event is handled: inbox row and effect are committed, by this call or an earlier one."""
    try:
        _admit(request, context)
        _require_handler(context, event)
        told = _read(_DELIVERY.validate_json, request)
        requests.about_order(told.payload.get("order_id"))
    except EciError as refusal:
        return _refused(refusal)
    outbox.receive(context, [told.named(event)])
    return HttpResponse(status=204)


@csrf_exempt
@require_POST
def deliver_all(request: HttpRequest, context: str) -> HttpResponse:
    """204 once all the events are handled, in one transaction. After any other answer none is, unless it was before."""
    try:
        _admit(request, context)
        told = _read(_DELIVERIES.validate_json, request).events
        for one in told:
            _require_handler(context, one.name)
    except EciError as refusal:
        return _refused(refusal)
    outbox.receive(context, [one.named(one.name) for one in told])
    return HttpResponse(status=204)


def _require_handler(context: str, event: str) -> None:
    if events.handler_of(context, event) is None:
        raise NotFound(f"{context} has no handler of this event.")


@dataclass(frozen=True, kw_only=True)
class _Delivery:
    event_id: uuid.UUID
    payload: dict[str, Any]
    trace: dict[str, str]

    def named(self, name: str) -> outbox.Delivery:
        return outbox.Delivery(event_id=self.event_id, name=name, payload=self.payload, trace=self.trace)


@dataclass(frozen=True, kw_only=True)
class _Named(_Delivery):
    name: str


@dataclass(frozen=True, kw_only=True)
class _Deliveries:
    events: list[_Named]


_DELIVERY = TypeAdapter(_Delivery)
_DELIVERIES = TypeAdapter(_Deliveries)


def _admit(request: HttpRequest, context: str) -> None:
    if context not in settings.ECI_CONTEXTS:
        raise NotFound("There is nothing at this address.")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise service_tokens.InvalidToken
        service_tokens.accept(token.strip(), audience=context, path=request.path_info, body=request.body)
    except service_tokens.InvalidToken:
        raise NotAuthenticated("This service token is invalid for this call, or has expired.") from None


def _read(reader: Any, request: HttpRequest) -> Any:
    try:
        return reader(request.body)
    except wire.Malformed:
        raise InvalidRequest("The body does not have the form this call needs.") from None


def _refused(refusal: EciError) -> HttpResponse:
    status, body, headers = describe(refusal)
    return JsonResponse(body, status=status, headers=headers)
