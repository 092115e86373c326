"""The API in a browser: every answer is a page, with a form for each method that the reader may use.

The forms need no script. A form is sent as a plain POST, and ``unwrap`` makes of it the request that it stands for: the
method, the JSON body, and the headers ``Idempotency-Key`` and ``If-Match``.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import is_valid_path
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from rest_framework import serializers
from rest_framework.authentication import CSRFCheck
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import override_method

from eci.errors import EciError
from eci.http import endpoints
from eci.http.envelope import OtherSignIn
from eci.http.fields import IdField, OrderIdField, QuantityField
from eci.identity.auth import NOBODY, OPEN, Caller

_HEADERS = ("Idempotency-Key", "If-Match")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_FILTERS = "_filters"  # a hidden field of the form of filters


@dataclass(frozen=True, kw_only=True)
class PageForm:
    """A form of a page. ``methods``: a button for each. ``content``: the body it begins with, None without one."""

    methods: list[str]
    content: str | None
    others: list[str]
    key: str | None
    if_match: str | None
    asks: bool


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A query parameter of the page's list. ``choices``: what it may be, empty for any text."""

    name: str
    value: str
    choices: list[str]
    hint: str


@dataclass(frozen=True, kw_only=True)
class Link:
    url: str
    methods: list[str]


class BrowsableRenderer(BrowsableAPIRenderer):
    """A page of our own around DRF's context: it leads on to what the answer names, and has forms."""

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        view, request = renderer_context["view"], renderer_context["request"]
        asked_by = _caller(request)
        return context | {
            "content": linked(context["content"], asked_by),
            "page_forms": self._forms(renderer_context),
            "filters": _filters(view, request),
            "links": _links(view, asked_by),
            "above": _above(request.path),
            "reader": asked_by.name if asked_by not in (NOBODY, OPEN) else "",
            "open_mode": asked_by == OPEN,
            "log_in": f"/admin/login/?{urlencode({'next': request.get_full_path()})}",
        }

    def get_filter_form(self, data: Any, view: Any, request: Any) -> None:
        """None: DRF would make the form from a queryset, which our views do not have."""

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> None:
        """None: our pages have forms of their own."""

    def _forms(self, renderer_context: Any) -> list[PageForm]:
        view, request, response = (renderer_context[name] for name in ("view", "request", "response"))
        if not hasattr(view, "body_serializers") or not any(_takes_json(parser) for parser in view.parser_classes):
            return []
        shown = [method for method in _METHODS if self._is_shown(view, method, request)]
        edits = [method for method in shown if method in ("PUT", "PATCH")]
        groups = [[method] for method in shown if method not in edits] + ([edits] if edits else [])
        own, tag = _as_it_is(view, request, response) if edits else ({}, "")
        return [_form(view, methods, own, tag, request, response) for methods in groups]

    def _is_shown(self, view: Any, method: str, request: Any) -> bool:
        with override_method(view, request, method) as asked:
            return bool(self.show_form_for_method(view, method, asked, None))


def _above(path: str) -> str:
    """The nearest page that this one is a part of, below the root of the API."""
    above = path.rpartition("/")[0] if path.startswith("/v1/") else ""
    return above if not above or is_valid_path(above) else _above(above)


def _caller(request: Any) -> Caller:
    """Who reads the page; nobody where the credentials were refused."""
    user = getattr(request, "_user", None)
    return user if isinstance(user, Caller) else NOBODY


_MEMBER = re.compile(r"(?m)^( {8,})&quot;(\w+)&quot;: (?:&quot;(.*)&quot;|(\d+))(?=,?$)")


def linked(content: str, reader: Caller) -> SafeString:
    """The JSON of an answer as HTML. What names a thing that the reader may see, or a URL, is a link to it. The members
    of the envelope itself name nothing."""

    def member(found: re.Match[str]) -> str:
        space, name, text, number = found.groups()
        value = number if text is None else text
        shown = value if text is None else f"&quot;{value}&quot;"
        return f"{space}&quot;{name}&quot;: {_link(name, unescape(value), shown, reader)}"

    return mark_safe(_MEMBER.sub(member, escape(content)))  # noqa: S308  # it is escaped first


def _link(name: str, value: str, shown: str, reader: Caller) -> str:
    url = ""
    if value.startswith(("/v1/", "/api/v1/", "https://", "http://")):
        url = "" if "{" in value else value
    elif value and (page := endpoints.page_of(name)) and "GET" in page.methods(reader):
        url = page.url({name: value})
    return str(format_html('<a href="{}">{}</a>', url, mark_safe(shown))) if url else shown  # noqa: S308  # it is escaped


def _links(view: Any, reader: Caller) -> list[Link]:
    kind: Any = type(view)
    path = endpoints.path_of(kind)
    found = endpoints.below(path) if path else []
    values = getattr(view, "kwargs", {})
    return [Link(url=one.url(values), methods=methods) for one in found if (methods := one.methods(reader))]


def _filters(view: Any, request: Any) -> list[Filter]:
    serializer = getattr(view, "query_serializer", None)
    if serializer is None or not hasattr(view, "get"):
        return []
    given = request.query_params
    return [
        Filter(name=name, value=given.get(name, ""), choices=_choices(field), hint=str(field.help_text or ""))
        for name, field in serializer().fields.items()
    ]


def _choices(field: Any) -> list[str]:
    if isinstance(field, serializers.BooleanField):
        return ["true", "false"]
    return [str(choice) for choice in field.choices] if isinstance(field, serializers.ChoiceField) else []


def _takes_json(parser: Any) -> bool:
    return str(parser.media_type) in ("application/json", "*/*")


def _form(view: Any, methods: list[str], own: dict[str, Any], tag: str, request: Any, response: Any) -> PageForm:
    serializer = view.body_serializers.get(methods[0], serializers.Serializer)()
    takes_body = bool(serializer.fields)
    body = begun_with(serializer, own if methods[0] in ("PUT", "PATCH") else {})
    content: str | None = json.dumps(body, indent=4, ensure_ascii=False) if takes_body else None
    if_match = tag if set(methods) & set(view.conditional_methods) else None
    sent = getattr(request._request, "unwrapped", None)
    if sent and request.method in methods and response.status_code >= 400:  # a mistake is corrected, not typed again
        content = sent.get("_content", "") if takes_body else None
        if_match = sent.get("If-Match", "") if if_match is not None else None
    return PageForm(
        methods=methods,
        content=content,
        others=[name for name, field in serializer.fields.items() if name not in body and not field.read_only],
        key=secrets.token_hex(16) if set(methods) & set(view.keyed_methods) else None,
        if_match=if_match,
        asks=must_be_sure(view, methods[0]),
    )


def _as_it_is(view: Any, request: Any, response: Any) -> tuple[dict[str, Any], str]:
    """What a GET answers, and its ETag; nothing where it answers no single thing."""
    if request.method != "GET":
        try:
            with override_method(view, request, "GET") as asked:
                view.check_permissions(asked)
                response = view.get(asked, **view.kwargs)
        except (APIException, EciError, AttributeError):
            return {}, ""
    data = getattr(response, "data", None)
    if not isinstance(data, dict) or response.status_code != 200:
        return {}, ""
    return data, response.headers.get("ETag", "")


def begun_with(serializer: serializers.Serializer[Any], own: dict[str, Any]) -> dict[str, Any]:
    """The body that a form begins with: the thing's own values, and empty what must be filled in.

    All ids and quantities are there, as often one of several is required. Sent untouched it is refused, or changes
    nothing.
    """
    body: dict[str, Any] = {}
    for name, field in serializer.fields.items():
        if field.read_only:
            continue
        if name in own:
            body[name] = own[name]
        elif field.required or (not own and isinstance(field, IdField | QuantityField)):
            body[name] = _empty(field)
    return body


def _empty(field: Any) -> Any:
    if isinstance(field, serializers.ListSerializer):
        return [_empty(field.child)]
    if isinstance(field, serializers.Serializer):
        return begun_with(field, {})
    if isinstance(field, serializers.ListField):
        return []
    return "" if isinstance(field, serializers.CharField | serializers.ChoiceField | OrderIdField) else None


def must_be_sure(view: Any, method: str) -> bool:
    """Whether a form could be carried out as it stands, so that it has a box to tick."""
    if method not in ("POST", "DELETE"):
        return False
    fields = view.body_serializers.get(method, serializers.Serializer)().fields
    return not any(field.required for field in fields.values())


# -- requests ---------------------------------------------------------------------------------------------------------


def unwrap(request: HttpRequest) -> None:
    """Make of a sent form the request that it stands for; leave any other request as it is.

    OtherSignIn without the CSRF token, whoever calls: in open mode nobody is signed in.
    """
    if request.method == "GET":
        _leave_out_what_is_empty(request)
    if request.method != "POST" or request.content_type not in _FORMS or _is_upload(request):
        return
    body = request.body  # read before POST, so that it stays readable
    if not any(name in body for name in (b"_method", b"_content")):
        return
    sent = request.POST
    method = sent.get("_method", "POST" if "_content" in sent else "")
    if method not in _METHODS:
        return
    check = CSRFCheck(lambda request: HttpResponse())
    check.process_request(request)
    if check.process_view(request, None, (), {}):  # type: ignore[arg-type]
        raise OtherSignIn
    content = sent.get("_content", "").encode(errors="replace")
    request.unwrapped = sent  # type: ignore[attr-defined]
    request.method = request.META["REQUEST_METHOD"] = method
    request.content_type = request.META["CONTENT_TYPE"] = "application/json"
    request.META["CONTENT_LENGTH"] = str(len(content))
    request.META[settings.CSRF_HEADER_NAME] = sent.get("csrfmiddlewaretoken", "")
    for name in _HEADERS:
        if value := sent.get(name, "").strip():
            request.META[f"HTTP_{name.upper().replace('-', '_')}"] = value
    request._body = content  # type: ignore[attr-defined]
    request.__dict__.pop("headers", None)  # made of META, and kept


def _leave_out_what_is_empty(request: HttpRequest) -> None:
    """A page's form of filters sends those that were left empty, too."""
    if _FILTERS not in request.GET or "text/html" not in request.headers.get("Accept", ""):
        return
    filled = QueryDict(mutable=True)
    for name, values in request.GET.lists():
        if name != _FILTERS and values != [""]:
            filled.setlist(name, values)
    request.GET = filled  # type: ignore[assignment]
    request.META["QUERY_STRING"] = filled.urlencode()


def _is_upload(request: HttpRequest) -> bool:
    """A form larger than any of ours brings a file, which is not to be held in memory."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def is_unsure(request: HttpRequest) -> bool:
    """Whether this is a sent form whose box was not ticked."""
    sent = getattr(request, "unwrapped", None)
    return sent is not None and "_sure" not in sent
