"""Tables as files: CSV sent row by row, or an Excel workbook that is written to disk first; none is held in memory."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from openpyxl import Workbook

from eci.http.envelope import EnvelopeRenderer

CSV, XLSX = "csv", "xlsx"
_TYPES = {CSV: "text/csv; charset=utf-8", XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_ROWS_AT_ONCE = 200


class CsvRenderer(EnvelopeRenderer):
    """``?format=csv`` is known here. What is refused is refused in JSON."""

    format = CSV


class XlsxRenderer(EnvelopeRenderer):
    format = XLSX


def download(form: str, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponseBase:
    """The table as the file ``name.csv`` or ``name.xlsx``. Texts are as ``eci.imports.values.guarded`` makes them."""
    if form == XLSX:
        answer: HttpResponseBase = FileResponse(_workbook(name, header, rows), content_type=_TYPES[XLSX])
    else:
        answer = StreamingHttpResponse(_csv(header, rows), content_type=_TYPES[CSV])
    answer["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    answer["Cache-Control"] = "no-store"
    return answer


class _Lines(list[str]):
    """What csv writes to."""

    write = list.append


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    lines = _Lines()
    writer = csv.writer(lines)  # type: ignore[arg-type]
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        if len(lines) >= _ROWS_AT_ONCE:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode()


def _workbook(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(name)
    sheet.append(header)
    for row in rows:
        sheet.append(row)
    file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the answer closes it
    book.save(file)
    file.seek(0)
    return file
