"""The base of every view under /v1: who may call it, what it takes, how often it may be called."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, UnsupportedMediaType
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request, override_method
from rest_framework.response import Response

from eci import idempotency
from eci.db import read_replica
from eci.errors import InvalidRequest, PreconditionFailed
from eci.http import browsable, rates
from eci.http.cards import refuse_cards
from eci.http.conditional import finish, versions
from eci.http.fields import IdempotencyKeyField
from eci.http.paging import paging_of
from eci.identity.auth import NOBODY, Caller, caller
from eci.identity.roles import Role, Roles, only
from eci.limits import Quota, Throttled
from eci.paging import Paging
from eci.watch.requests import about_order

P = TypeVar("P")

_ALWAYS_KNOWN = {"format"}
_key_field = IdempotencyKeyField()


@functools.cache
def _kept(kind: type[serializers.BaseSerializer[Any]], *, partial: bool) -> Any:
    """The one serializer of this kind, for all requests: it costs more to make than to use, and validating leaves
    nothing in it."""
    return kind(partial=partial)


def _require_utf8(query: str) -> None:
    """InvalidRequest for what Django would take with other characters in its place."""
    if "%" in query:
        try:
            unquote_to_bytes(query).decode()
        except UnicodeDecodeError:
            raise InvalidRequest("A query parameter is not valid UTF-8.") from None


def _let_go(response: Response) -> None:
    """Request, view and answer lead to each other, so what they hold stays until the collector comes. An answer that is
    written needs its data no more, and they may be thousands of rows."""
    response.data = None


class ApiView(GenericAPIView[Any]):
    """The base of every view under /v1. A view describes itself with these attributes:

    - ``roles``: who may call it, as one set for all methods or a set for each. Nobody, unless it says so.
    - ``query_serializer``: the parameters that a GET takes. Any other parameter is a 400, and so is one given twice or
      without a value: a look-up of nothing is not a list of all.
    - ``body_serializers``: by method, the body it takes. /docs and the browsable API's forms are made of them.
    - ``keyed_methods``: the methods for which /docs shows the header ``Idempotency-Key``.
    - ``conditional_methods``: those that obey ``If-Match``, by ``if_match()``. Other writes refuse the header.
    - ``refusals``: by method, the statuses that /docs lists beside the common ones, each with a description.
    - ``refuses_cards``: a card number in a text of the body, or a field named as a security code, is a 400.
    - ``rate``: by method, the class of its rate limits. Without one it is ``read`` or ``write``.
    """

    roles: ClassVar[Roles | Mapping[str, Roles]] = only()
    query_serializer: ClassVar[type[serializers.Serializer[Any]] | None] = None
    body_serializers: ClassVar[dict[str, type[serializers.Serializer[Any]]]] = {}
    keyed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    conditional_methods: ClassVar[tuple[str, ...]] = ()
    refusals: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    refuses_cards: ClassVar[bool] = False
    rate: ClassVar[dict[str, str]] = {}
    pagination_class = None
    queryset = None

    query: dict[str, Any]
    _quota: Quota | None = None

    @property
    def caller(self) -> Caller:
        return caller(self.request)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        browsable.unwrap(request)
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check everything about a request that does not depend on its body."""
        try:
            super().initial(request, *args, **kwargs)
        except (AuthenticationFailed, NotAuthenticated):
            self._count(NOBODY, "refused")
            raise
        self._key_given({})
        if browsable.is_unsure(request._request) and browsable.must_be_sure(self, str(request.method)):
            raise InvalidRequest("Nothing was done: first tick the box above the button.")
        sent = request._request.META
        if "HTTP_IF_MATCH" in sent and request.method not in SAFE_METHODS:
            if request.method not in self.conditional_methods:
                raise PreconditionFailed("There are no versions here, so no If-Match can be fulfilled.")
            versions(sent["HTTP_IF_MATCH"])
        if "HTTP_TRANSFER_ENCODING" in sent and not sent.get("CONTENT_LENGTH"):
            raise InvalidRequest("Send the body with a Content-Length header.")
        encoding = sent.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if encoding not in ("", "identity") and sent.get("CONTENT_LENGTH") not in (None, "", "0"):
            raise UnsupportedMediaType(encoding, "Send the body as it is: compressed bodies are not understood.")
        known = None
        if self.query_serializer and request.method in ("GET", "HEAD"):
            known = _kept(self.query_serializer, partial=False)
        names = set(known.fields) if known else set()
        unknown = sorted(set(request.query_params) - names - _ALWAYS_KNOWN)
        if unknown:
            raise serializers.ValidationError({name: ["This endpoint has no such parameter."] for name in unknown})
        twice = sorted(name for name, values in request.query_params.lists() if len(values) > 1)
        if twice:
            raise serializers.ValidationError({name: ["Give this parameter once."] for name in twice})
        empty = sorted(name for name, value in request.query_params.items() if not value)
        if empty:
            raise serializers.ValidationError(
                {name: ["This is empty: leave it out, or give it a value."] for name in empty}
            )
        if known:
            if any("\x00" in value for values in request.query_params.lists() for value in values[1]):
                raise InvalidRequest("A query parameter contains a NUL character.")
            _require_utf8(sent.get("QUERY_STRING", ""))
            self.query = known.run_validation(request.query_params.dict())
            about_order(self.query.get("order_id"))

    def check_throttles(self, request: Request) -> None:
        """Called by ``initial`` once the caller is allowed in."""
        self._count(self.caller, self.rate_class(str(request.method)))

    @classmethod
    def rate_class(cls, method: str) -> str:
        return cls.rate.get(method) or ("read" if method in SAFE_METHODS else "write")

    def _count(self, caller: Caller, rate: str) -> None:
        try:
            self._quota = rates.take(self.request, caller, rate)
        except Throttled as refusal:
            self._quota = refusal.quota
            raise

    def finalize_response(self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        for name, value in rates.headers(self._quota).items() if self._quota else ():
            answer[name] = value
        data = getattr(answer, "data", None)
        if isinstance(data, dict):  # what belongs to an order, such as a payment, names it; so do refusals
            about_order(data.get("order_id") or (data.get("details") or {}).get("order_id"))
        if not self._is_public():
            answer.headers.setdefault("Cache-Control", "no-store")
        if "ETag" in answer.headers:
            finish(self.request, answer)
        if isinstance(answer, Response):
            answer.add_post_render_callback(_let_go)
        return answer

    def _is_public(self) -> bool:
        """Whether a GET here tells everybody the same, so that it may be kept where it has an ETag."""
        allowed = self.roles if isinstance(self.roles, frozenset) else self.roles.get("GET", only())
        return Role.ANONYMOUS in allowed

    def paging(self, *, default: str = "-created_at") -> Paging:
        """The page that the query parameters ask for."""
        return paging_of(self.query, path=self.request.path, default=default)

    def read_public(self, context: str, read: Callable[[], P]) -> P:
        """Read public data from a replica, where it may be a moment old. Staff read what they have just changed."""
        return read() if self.caller.is_staff else read_replica(context, read)

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return self.body_serializers.get(str(self.request.method), serializers.Serializer)

    def body(self, *, partial: bool = False) -> dict[str, Any]:
        """The validated body of this request."""
        serializer = _kept(self.get_serializer_class(), partial=partial)  # type: ignore[arg-type]
        validated: dict[str, Any] = serializer.run_validation(self.request.data)
        if self.refuses_cards:
            refuse_cards(serializer, self.request.data)
        about_order(validated.get("order_id"))
        return validated

    def idempotency_key(self, endpoint: str, asked: Any, *, scope: str | None = None) -> idempotency.Key | None:
        """The request's key: from the header, or from the body where its serializer has the field. None without one.

        ``asked`` is the validated request as JSON values. Two requests are the same if it is equal.
        """
        key = self._key_given(asked if isinstance(asked, dict) else {})
        if key is None:
            return None
        asked = {name: value for name, value in asked.items() if name != "idempotency_key"}
        return idempotency.Key(
            scope=f"{self.caller.name if scope is None else scope}:{endpoint}",
            key=key,
            fingerprint=idempotency.fingerprint([self.kwargs, asked]),
        )

    def if_match(self) -> int | None:
        """The version that the client saw, from ``If-Match``. None: the client does not mind which.

        PreconditionFailed for a tag that is none of ours. Whether it is the row's version is for the service to say,
        in its transaction.
        """
        header = self.request.headers.get("If-Match")
        named = None if header is None else versions(header)
        if not named:
            return None
        now = self._version_now() if len(named) > 1 else None
        return now if now in named else max(named)

    def _version_now(self) -> int | None:
        """The version that a GET would answer."""
        with override_method(self, self.request, "GET") as request:
            tag = self.get(request, **self.kwargs).headers.get("ETag", "")  # type: ignore[attr-defined]
        return next(iter(versions(tag) or ()), None)

    def _key_given(self, asked: dict[str, Any]) -> str | None:
        header = self.request._request.META.get("HTTP_IDEMPOTENCY_KEY")
        in_body: str | None = asked.get("idempotency_key")
        if header is not None:
            try:
                header = _key_field.run_validation(header)
            except serializers.ValidationError as error:
                raise serializers.ValidationError({"Idempotency-Key": error.detail}) from None
        if header is not None and in_body is not None and header != in_body:
            raise InvalidRequest("The Idempotency-Key header and idempotency_key in the body differ.")
        return header if header is not None else in_body
