"""Lists as files: all rows that the list's own filters find, streamed page by page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers

from eci.errors import InvalidRequest
from eci.http.browsable import BrowsableRenderer
from eci.http.downloads import CSV, TYPES, XLSX, CsvRenderer, XlsxRenderer, download
from eci.http.envelope import EnvelopeRenderer
from eci.http.paging import paging_of
from eci.http.views import ApiView
from eci.imports.values import guarded
from eci.paging import Paging

PAGE = 500  # rows that are read at once

FILE = {(200, TYPES[CSV]): OpenApiTypes.STR, (200, TYPES[XLSX]): OpenApiTypes.BINARY}  # what it answers, for /docs


@dataclass(frozen=True, kw_only=True)
class Export:
    """A list as a file, for staff's pages. ``rows``: of these primary keys, in their order, each in its columns."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[list[Any]], Iterator[list[Any]]]


class WholeList(serializers.Serializer[Any]):
    """Mixed into the query of a list, before it: all rows, and no pages."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: field for name, field in super().get_fields().items() if name not in ("limit", "cursor")}


class ExportView(ApiView):
    """The base of views that answer a table as a file. ``columns`` are its header."""

    columns: ClassVar[tuple[str, ...]]
    formats: ClassVar[tuple[str, ...]] = (CSV, XLSX)
    renderer_classes = [EnvelopeRenderer, CsvRenderer, XlsxRenderer, BrowsableRenderer]
    rate = {"GET": "export"}

    def form(self) -> str:
        """csv or xlsx. InvalidRequest."""
        form: str = self.request.query_params.get("format", CSV)
        if form not in (CSV, XLSX):
            sentence = "An export is csv or xlsx."
            raise InvalidRequest(f"format: {sentence}", format=[sentence])
        return form

    def exported(self, name: str, rows: Iterable[Sequence[Any]]) -> HttpResponseBase:
        return download(self.form(), name, self.columns, begun(iter(rows)))

    def pages(
        self,
        read: Callable[[Paging], list[Any]],
        position: Callable[[Any, Paging], tuple[Any, Any]],
        *,
        default: str = "-created_at",
    ) -> Iterator[list[Any]]:
        """All rows of a list, a page at a time: ``read`` is its selector, ``position`` that of a row, by its paging."""
        paging = paging_of({"limit": PAGE} | self.query, path=self.request.path, default=default)
        while rows := read(paging):
            yield rows[:PAGE]
            if len(rows) <= PAGE:
                return
            paging = replace(paging, after=position(rows[PAGE - 1], paging))


def begun(rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Read the first row now: what cannot be read is refused, and no file begins."""
    first = next(rows, None)
    return itertools.chain([] if first is None else [first], rows)


def text_cell(value: str | None) -> str:
    return guarded(value or "")


def code_cell(value: str | None) -> str:
    return guarded(value or "", is_code=True)


def flag_cell(value: bool) -> str:
    return "TRUE" if value else "FALSE"
