"""Tables as files: CSV sent row by row, or an Excel workbook that is written to disk first; none is held in memory."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from eci.http.envelope import EnvelopeRenderer

CSV, XLSX = "csv", "xlsx"
TYPES = {CSV: "text/csv", XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_ROWS_AT_ONCE = 200
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")  # what workbooks would read as a letter's code


class CsvRenderer(EnvelopeRenderer):
    """``?format=csv`` is known here. What is refused is refused in JSON."""

    format = CSV


class XlsxRenderer(EnvelopeRenderer):
    format = XLSX


def download(form: str, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponseBase:
    """The table as the file ``name.csv`` or ``name.xlsx``. Texts are as ``eci.imports.values.guarded`` makes them."""
    if form == XLSX:
        answer: HttpResponseBase = FileResponse(_workbook(name, header, rows), content_type=TYPES[XLSX])
    else:
        answer = StreamingHttpResponse(_csv(header, rows), content_type=f"{TYPES[CSV]}; charset=utf-8")
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
    from openpyxl import Workbook  # late: as much memory as all our code

    book = Workbook(write_only=True)
    sheet = book.create_sheet(name)
    sheet.append(header)
    for row in rows:
        sheet.append([_ESCAPE.sub("_x005F_", cell) if isinstance(cell, str) else cell for cell in row])
    file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - the answer closes it
    book.save(file)
    file.seek(0)
    return file
