"""Conditional requests: a row's version as its ETag, for ``If-Match`` on writes and ``If-None-Match`` on reads.

The tag of version 3 is ``"3"``. Where an answer also says what changes without a write to its row, that stands behind
the version, as in ``"3-1999"``, and matters to reads only. A proxy may weaken a tag (``W/"3"``) when it compresses, so
tags compare by value. Only plain JSON has one: a page has forms with keys of their own.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpResponseBase, HttpResponseNotModified
from django.utils.http import parse_etags
from pydantic_core import to_json
from rest_framework.request import Request
from rest_framework.response import Response

from eci.errors import PreconditionFailed

_TAG = re.compile(r'(?:W/)?"(([1-9][0-9]{0,9})(?:-[0-9]{1,20})?)"')


def etag(version: int, detail: int | None = None) -> dict[str, str]:
    """The header that names the version."""
    return {"ETag": f'"{version}"' if detail is None else f'"{version}-{detail}"'}


def digest(shown: Any) -> int:
    """The detail of an answer that shows more than its row: another, whenever it shows something else."""
    return int.from_bytes(hashlib.blake2b(to_json(shown), digest_size=8).digest())


def versions(tags: str) -> frozenset[int] | None:
    """The versions that an ``If-Match`` names; None for ``*``, which any version matches.

    PreconditionFailed when it names none of ours: no row can have such a tag.
    """
    given = parse_etags(tags)
    if given == ["*"]:
        return None
    named = frozenset(int(found[2]) for found in map(_TAG.fullmatch, given) if found)
    if not named:
        raise PreconditionFailed('If-Match names no version of this: it takes the ETag that a read answered, as "3".')
    return named


def answer(request: Request, data: Any, *, version: int, detail: int | None = None) -> HttpResponseBase:
    """The answer to a read, with its ETag; 304 when ``If-None-Match`` names it."""
    tag = etag(version, detail)
    if not _is_plain(request):
        return Response(data, headers=tag)
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if "*" in known or tag["ETag"].strip('"') in {found[1] for found in map(_TAG.fullmatch, known) if found}:
        return HttpResponseNotModified(headers=tag)
    return Response(data, headers=tag)


def finish(request: Request, answer: HttpResponseBase) -> None:
    """Say of an answer with an ETag who may be given it again: whoever asks in the same way, after asking us."""
    answer.headers["Vary"] = "Accept, Authorization, Cookie"
    if _is_plain(request):
        answer.headers.setdefault("Cache-Control", "no-cache")
    elif isinstance(answer, Response):
        answer.add_post_render_callback(_without_tag)  # the page's forms are made of it


def _is_plain(request: Request) -> bool:
    return request.accepted_renderer.format == "json" and "indent" not in request.accepted_media_type


def _without_tag(answer: Response) -> None:
    del answer.headers["ETag"]
