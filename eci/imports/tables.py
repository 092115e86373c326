"""A file as rows of text cells, whatever it is: CSV, text with tabs, or an Excel workbook. It is streamed."""

from __future__ import annotations

import itertools
import math
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import IO, Any

from eci.imports import decoding
from eci.imports.decoding import Coding, Dialect
from eci.imports.errors import BadFile
from eci.imports.formats import form_of, shown
from eci.imports.values import Day, Flag, Form, Number, quoted

MAX_COLUMNS = 1_000
LAST_ROW = 1_048_576  # of a sheet, in any spreadsheet program
_PARTS = 250_000  # of a row of a sheet: a cell has some for each of 16,384 columns
UNPACKED = 1024 * 1024 * 1024  # bytes of a workbook, unpacked
SHARED_TEXTS = 64 * 1024 * 1024  # bytes of the texts that a workbook's cells share, which are kept in memory
ROOM = 32_767  # characters of a workbook's cell
RATIO = 200  # times that a part of it may be larger unpacked
_SHEETS, _HEAD = 100, 20  # sheets that are compared by as many rows
_SMALL = 64 * 1024 * 1024  # bytes below which the ratio does not matter

Row = tuple[int, list[str]]  # the line in the file, and its cells
Recognised = Callable[[list[list[str]]], int]

_OTHERS = {
    b"\xd0\xcf\x11\xe0": "This is an old Excel workbook (.xls), or one with a password. Save it as .xlsx without one.",
    b"%PDF": "This is a PDF. Save the table as CSV or .xlsx.",
    b"\x1f\x8b": "This file is packed. Unpack it first.",
    b"Rar!": "This file is packed. Unpack it first.",
    b"\x89PNG": "This is a picture.",
    b"\xff\xd8\xff": "This is a picture.",
}


_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<(?:!|\?|html|table)|\{|\[\s*[\[{])", re.IGNORECASE)


class Formula(str):
    """A cell whose value is a formula: the file does not say what it comes to."""


class Cut(str):
    """A text that fills its cell: programs drop what has no room there."""


@dataclass
class Table:
    """A file that is open. ``rows`` begins anew each time. ``total`` counts all rows, blank ones and the header too."""

    file: IO[bytes]
    coding: Coding | None = None
    dialect: Dialect | None = None
    sheet: str = ""
    sheets: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    _total: int | None = None

    def rows(self) -> Iterator[Row]:
        if self.dialect and self.coding:
            with decoding.open_text(self.file, self.coding.encoding, damaged=self.coding.is_damaged) as text:
                yield from decoding.records(text, self.dialect)
        else:
            yield from _sheet_rows(self.file, self.sheet)

    def total(self) -> int:
        if self._total is None:
            self._total = _sheet_length(self.file, self.sheet) if self.dialect is None else sum(1 for _ in self.rows())
        return self._total


def open_table(file: IO[bytes], *, encoding: str, delimiter: str, sheet: str, recognised: Recognised) -> Table:
    """Find out what the file is, but for what is given. BadFile."""
    file.seek(0)
    head = file.read(64)
    if not head:
        raise BadFile("The file is empty.")
    if _MARKUP.match(head):
        raise BadFile(
            "This is a web page, XML or JSON, whatever its name says. Open it in a spreadsheet program and save it as "
            ".xlsx or CSV."
        )
    for sign, sentence in _OTHERS.items():
        if head.startswith(sign):
            raise BadFile(sentence)
    if head.startswith(b"PK"):
        sheets, hidden = _sheets(file)
        if sheet and sheet not in sheets:
            raise BadFile(f"There is no sheet {quoted(sheet)} in this workbook. Its sheets: {', '.join(sheets)}.")
        return Table(file, sheet=sheet or _most_known(file, sheets, recognised), sheets=sheets, hidden=hidden)
    coding = Coding(encoding=encoding) if encoding else decoding.coding_of(file)
    if delimiter:
        with decoding.open_text(file, coding.encoding, damaged=coding.is_damaged) as text:
            found = decoding.dialect_of(text, recognised)
        dialect = replace(found, delimiter=delimiter, quoted=found.quoted or delimiter != "\t")
    else:
        with decoding.open_text(file, coding.encoding, damaged=coding.is_damaged) as text:
            dialect = decoding.dialect_of(text, recognised)
    return Table(file, coding=coding, dialect=dialect)


# -- workbooks --------------------------------------------------------------------------------------------------------


def _sheets(file: IO[bytes]) -> tuple[list[str], list[str]]:
    """The names of its visible sheets and of the hidden ones, after a look at what it would unpack to. BadFile."""
    try:
        with zipfile.ZipFile(file) as packed:
            _require_harmless(packed)
        with _workbook(file) as book:
            sheets = [one.title for one in book.worksheets if one.sheet_state == "visible"]
            hidden = [one.title for one in book.worksheets if one.title not in sheets]
    except BadFile:
        raise
    except Exception as error:  # openpyxl raises whatever it stumbles over
        raise BadFile("This is no Excel workbook that can be read. Save it as CSV, or as .xlsx again.") from error
    if not sheets:
        raise BadFile("This workbook has no visible sheet.")
    return sheets, hidden


def _most_known(file: IO[bytes], sheets: list[str], recognised: Recognised) -> str:
    """The sheet whose columns are known best: the first one may be a cover."""
    if len(sheets) == 1:
        return sheets[0]
    known: dict[str, int] = {}
    with suppress(Exception), _workbook(file) as book, warnings.catch_warnings():  # a damaged one is told of later
        warnings.simplefilter("ignore")
        for sheet in sheets[:_SHEETS]:
            known[sheet] = recognised([row for _, row in itertools.islice(_rows_of(book, sheet), _HEAD)])
    return max(known, key=lambda sheet: known[sheet], default=sheets[0])


def _require_harmless(packed: zipfile.ZipFile) -> None:
    parts = packed.infolist()
    names = {part.filename for part in parts}
    if "xl/workbook.xml" not in names:
        raise BadFile("This is a packed file, but no Excel workbook (.xlsx). Save the table as CSV or .xlsx.")
    if sum(part.file_size for part in parts) > UNPACKED:
        raise BadFile("Unpacked, this workbook is larger than 1 GB. Save it as CSV, or in parts.")
    for part in parts:
        if part.file_size > max(_SMALL, RATIO * part.compress_size):
            raise BadFile("This workbook is packed more tightly than tables are. Save it as CSV.")
        if part.filename == "xl/sharedStrings.xml" and part.file_size > SHARED_TEXTS:
            raise BadFile("This workbook has more different texts than fit in memory. Save it as CSV.")
        if part.filename.endswith((".xml", ".rels")):
            with packed.open(part) as opened:
                if b"<!DOCTYPE" in opened.read(1024).upper():
                    raise BadFile("This workbook defines entities, which no spreadsheet program does.")


class _workbook:
    """Open for reading, row by row. Formulas are not replaced by the values that they had when it was saved."""

    def __init__(self, file: IO[bytes]) -> None:
        import openpyxl  # late: as much memory as all our code

        file.seek(0)
        with warnings.catch_warnings():  # of what it does not keep, such as drop-down lists
            warnings.simplefilter("ignore")
            self.book = openpyxl.load_workbook(file, read_only=True, data_only=False, keep_links=False)

    def __enter__(self) -> Any:
        return self.book

    def __exit__(self, *error: object) -> None:
        self.book.close()


def _sheet_rows(file: IO[bytes], sheet: str) -> Iterator[Row]:
    try:
        with _workbook(file) as book, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _rows_of(book, sheet)
    except BadFile:
        raise
    except Exception as error:
        raise BadFile("This workbook is damaged: a spreadsheet program may mend it by saving it again.") from error


def _rows_of(book: Any, sheet: str) -> Iterator[Row]:
    """The rows that the sheet has, and not those between them. openpyxl's own way makes up every row that is left out,
    of which a small file may leave out a hundred million."""
    from openpyxl.worksheet._reader import DATA_TAG, ROW_TAG, WorkSheetParser
    from openpyxl.xml.functions import iterparse

    worksheet = book[sheet]
    forms = _Forms(worksheet)
    with worksheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            worksheet._shared_strings,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        parser.parse_cell = partial(_cell_or_error, parser, parser.parse_cell)
        parts = 0
        for _, element in iterparse(source):
            parts += 1
            if element.tag == ROW_TAG:
                line, cells = parser.parse_row(element)
                element.clear()
                if line > LAST_ROW:
                    raise BadFile(f"This workbook has a row {line:,}, and a sheet ends at {LAST_ROW:,}.")
                yield line, _texts(cells, line, forms)
                parts = 0
            elif parts > _PARTS:
                raise BadFile("A row of this workbook has more cells than a sheet has columns.")
            elif element.tag == DATA_TAG:
                return


def _cell_or_error(parser: Any, parse: Callable[[Any], dict[str, Any]], element: Any) -> dict[str, Any]:
    """A cell that is no number, though it says so, is an error of the spreadsheet, and not of the whole workbook."""
    try:
        return parse(element)
    except (ArithmeticError, IndexError, ValueError):
        return {"column": parser.col_counter, "value": "#NUM!", "style_id": 0}


class _Forms(dict[int, Form | None]):
    """How numbers are shown, by the style of their cells."""

    def __init__(self, worksheet: Any) -> None:
        super().__init__()
        self._worksheet = worksheet

    def __missing__(self, style: int) -> Form | None:
        from openpyxl.cell.read_only import ReadOnlyCell

        form = form_of(ReadOnlyCell(self._worksheet, 1, 1, None, style_id=style).number_format)
        self[style] = form
        return form


def _texts(cells: list[dict[str, Any]], line: int, forms: _Forms) -> list[str]:
    row: list[str] = []
    for cell in cells:
        value = cell["value"]
        if value is None:
            continue
        text = _text(value)
        if cell["style_id"] and isinstance(text, Number) and (form := forms[cell["style_id"]]):
            text = shown(text, form)
        at = cell["column"] - 1
        if at >= MAX_COLUMNS:
            raise BadFile(f"Line {line} has more than {MAX_COLUMNS:,} columns.")
        if at > len(row):
            row.extend([""] * (at - len(row)))
        row[at : at + 1] = [text]
    return row


def _text(cell: Any) -> str:
    """The cell as a person reads it. Numbers have at most 15 digits, as in Excel: what follows is dust."""
    if isinstance(cell, str):
        if len(cell) >= ROOM:
            return Cut(cell)
        return Formula(cell) if cell.startswith("=") and len(cell) > 1 else _ESCAPED.sub(_unescaped, cell)
    if isinstance(cell, bool):
        return Flag("TRUE" if cell else "FALSE")
    if isinstance(cell, float):
        whole = math.isfinite(cell) and cell.is_integer() and abs(cell) < 1e15
        return Number(int(cell)) if whole else Number(f"{cell:.15g}")
    if isinstance(cell, datetime):
        return Day(cell.date().isoformat() if cell.time() == cell.time().min else cell.isoformat(" "))
    if isinstance(cell, int):
        return Number(cell)
    if isinstance(cell, date | time | timedelta):
        return Day(cell)
    return Formula(getattr(cell, "text", "") or "=")  # array formulas are objects


_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _sheet_length(file: IO[bytes], sheet: str) -> int:
    """The number of its last row, read from the end of the sheet's own text: counting cell by cell takes far longer."""
    with _workbook(file) as book:
        part = book[sheet]._worksheet_path
    last, rows, tail = 0, 0, b""
    file.seek(0)
    with zipfile.ZipFile(file) as packed, packed.open(part) as opened:
        while piece := opened.read(1024 * 1024):
            rows += piece.count(b"<row ")
            for found in _ROW.finditer(tail + piece):
                last = int(found[1])
            tail = piece[-64:]
    return max(last, rows)


_ROW = re.compile(rb"<row[^>]*? r=\"([0-9]{1,7})\"")
