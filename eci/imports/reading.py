"""The dry run: what is this file, what can it not say, and what would each of its rows do?"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any, cast

from eci.db import run_in_unit_of_work
from eci.imports import again, decoding, mapping, tables, uploads, values
from eci.imports.decoding import ENCODINGS, Coding, Torn, Undecodable
from eci.imports.errors import BadFile
from eci.imports.formats import code_of
from eci.imports.kinds import (
    WARNING,
    Cells,
    Field,
    Kind,
    Question,
    Skip,
    Skipped,
    Values,
    Verdict,
    kind_named,
    plain,
    refused,
)
from eci.imports.leases import Lease
from eci.imports.mapping import Columns
from eci.imports.rows import ImportLineRow, Outcome, Status, adds_lines, lines_of
from eci.imports.tables import Cut, Formula, Row, Table
from eci.imports.values import Reading
from eci.watch.requests import logger

log = logger(__name__)

MAX_ROWS = 500_000
PIECE = 500  # lines that are written at once
_AT_ONCE = 10_000  # keys that are read at once
_LOOKED_AT = 20_000  # rows of a workbook that tell what must be asked: it takes long to read
_TOLD_BY = 200  # rows tell which columns are amounts
_MAX_KEY = 255
_HEADER_WITHIN = 40  # filled rows, unless the header's row is given
# What a cell that nobody thought of may raise, unlike a database or another context.
_OF_A_ROW = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_UNCLEAR = "This row could not be understood. The log says why."

BLANK = "blank"
LEAVE, CLEAR = "leave", "clear"


@dataclass
class Evidence:
    """``filled``: how many rows have something in a column. ``signs``: what numbers tell of the decimal sign.
    ``beside``: what stands beside amounts, such as a currency, or nothing."""

    filled: Counter[int] = field(default_factory=Counter)
    signs: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)
    rows: int = 0


@dataclass
class Parsed:
    """A row of the file. ``skipped`` or ``refusal`` say why it is none. ``number``: of all its rows. ``fields``: its
    cells by field, of which ``_understand`` makes the ``values``. ``column``: the one that makes it, of several."""

    number: int
    line: int
    cells: list[str]
    fields: Cells = field(default_factory=dict)
    column: int | None = None
    values: Values = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    skipped: str = ""


def read(lease: Lease) -> None:
    """Read the file of an import that is READING. BadFile; Lost."""
    row = lease.row
    kind = kind_named(row.kind)
    options = row.given.get("options") or {}
    with uploads.fetch(lease.context, row.file) as file, _asking_for_its_encoding(lease, file):
        table, columns = _opened(lease, file, kind)
        evidence = _look(table, columns, kind, lease)
        questions = [*_questions(table, columns, kind, evidence, options), *again.questions(row)]
        total = table.total() if table.dialect is None else evidence.rows
        if evidence.rows > MAX_ROWS:
            raise BadFile(f"The file has more than {MAX_ROWS:,} rows. Send it in parts.")
        lease.hold(
            detected=_detected(table, columns, questions),
            questions=[vars(one) for one in questions],
            notes=[*_about_sheet(table, options), *_notes(columns)],
            row_count=total,
        )
        if any(one.needed and one.answer is None for one in questions):
            lease.finish(Status.READY, done=0)
            return
        for one in questions:
            if one.name in columns.fields and one.answer in columns.names:
                columns.prefer(one.name, one.answer)
        reading = Reading(
            decimal=cast(values.DecimalSign, _answer(questions, "decimal") or "."),
            as_written=bool(columns.preset and columns.preset.as_written),
        )
        if currency := options.get("currency"):
            reading.currency = reading.unnamed = currency
        answers = kind.informed(options | {one.name: one.answer for one in questions})
        _judge(lease, kind, _parsed(table.rows(), columns, kind), reading, answers, columns)
    lease.finish(Status.READY, done=lease.row.row_count)


@contextmanager
def _asking_for_its_encoding(lease: Lease, file: IO[bytes]) -> Iterator[None]:
    """BadFile, with what may be answered nevertheless."""
    try:
        yield
    except Undecodable:
        lease.hold(questions=[vars(_in_which_encoding(decoding.guessed(file)))])
        raise


def _opened(lease: Lease, file: IO[bytes], kind: Kind) -> tuple[Table, Columns]:
    """The file as its sender says it is. BadFile."""
    given, options = lease.row.given.get("mapping") or {}, lease.row.given.get("options") or {}
    table = tables.open_table(
        file,
        encoding=options.get("encoding", ""),
        delimiter=options.get("delimiter", ""),
        sheet=options.get("sheet", ""),
        recognised=lambda rows: mapping.recognised(rows, kind, given),
    )
    columns = _columns(table, kind, given, options.get("header_row"), lease)
    if others := _answered_by_another(columns, kind, options):
        columns = _columns(table, kind, given | others, options.get("header_row"), lease)
    return table, columns


def _answered_by_another(columns: Columns, kind: Kind, options: Mapping[str, Any]) -> dict[str, str]:
    """Columns that somebody has said a field is, though they were not known to be it: that is a mapping. BadFile."""
    others = {}
    for one in kind.fields:
        answer, named = options.get(one.name), [columns.names[index] for index in columns.fields.get(one.name, ())]
        if not one.ask or not answer or answer in named or not columns.given.isdisjoint(named):
            continue
        unused = [columns.names[index] for index in mapping.unused(columns)]
        if answer not in unused:
            raise BadFile(mapping.no_column(one.name, answer, [*named, *unused]))
        others[answer] = one.name
    return others


def _columns(table: Table, kind: Kind, given: dict[str, Any], header_row: int | None, lease: Lease) -> Columns:
    """BadFile, with what may be answered nevertheless."""
    first = list(itertools.islice(_filled(table.rows()), max(_HEADER_WITHIN, header_row or 0)))
    try:
        columns = mapping.columns_of(first, kind, mapping=given, header_row=header_row)
    except BadFile as problem:
        if len(table.sheets) < 2:
            raise BadFile(f"{problem} {_about_hidden(table)}") if table.hidden else problem from None
        lease.hold(questions=[vars(one) for one in _about_text(table)])
        this, others = values.quoted(table.sheet), ", ".join(sheet for sheet in table.sheets if sheet != table.sheet)
        raise BadFile(f"{problem} This is of the sheet {this}. The others: {others[:500]}.") from problem
    if table.dialect is None:
        columns.width = tables.MAX_COLUMNS  # what stands beside a sheet's table has nothing to do with it
    return columns


def keep_cells(lease: Lease) -> None:
    """Keep those of the rows that were refused when they were written, for the file goes. Lost."""
    kind = kind_named(lease.row.kind)
    lines = lines_of(lease.context).filter(import_pk=lease.row.pk, outcome=Outcome.REFUSED, cells__isnull=True)
    if not lines.exists():
        return
    decimal = lease.row.detected["decimal"]
    with suppress(BadFile), uploads.fetch(lease.context, lease.row.file) as file:
        table, columns = _opened(lease, file, kind)
        parsed = enumerate(_renewing(_parsed(table.rows(), columns, kind), lease), 1)
        while piece := list(itertools.islice(parsed, PIECE)):
            of = dict(piece)
            found = list(lines.filter(position__in=list(of)))
            for line in found:
                one = of[line.position]
                line.cells = _as_sent(one.cells, columns, kind, decimal, only=one.column)
            lines_of(lease.context).bulk_update(found, ["cells"])


def _filled(rows: Iterator[Row]) -> Iterator[Row]:
    return (row for row in rows if any(cell and not cell.isspace() for cell in row[1]))


# -- the file as a whole ----------------------------------------------------------------------------------------------


def _look(table: Table, columns: Columns, kind: Kind, lease: Lease) -> Evidence:
    """Go through the file once: does all of it decode, how long is it, what do its cells tell?"""
    evidence = Evidence()
    numbers = _numbers(columns, kind)
    several = {index for indexes in columns.fields.values() if len(indexes) > 1 for index in indexes}
    looked_at = sorted(numbers | several)
    amounts = _amounts(columns, kind) - set(columns.currencies)
    currencies = [at for one in kind.fields if one.is_currency for at in columns.fields.get(one.name, ())]
    for line, cells in table.rows():
        evidence.rows += 1
        if line <= columns.header_line:
            continue
        if table.dialect is None and evidence.rows > _LOOKED_AT:
            break
        for index in looked_at:
            if index < len(cells) and (cell := cells[index]):
                evidence.filled[index] += 1
                if index in numbers and not isinstance(cell, values.Number):
                    evidence.signs[values.decimal_sign(values.bare(cell))] += 1
                is_named = index not in amounts or any(at < len(cells) and cells[at] for at in currencies)
                if not is_named and (sign := values.sign_of(cell)) is not None:
                    evidence.beside[sign] += 1
        if evidence.rows % 1_000 == 0:
            lease.renew()
    return evidence


def _numbers(columns: Columns, kind: Kind) -> set[int]:
    """The columns that have some."""
    return {*columns.spread}.union(*(columns.fields.get(one.name, ()) for one in kind.fields if one.is_number))


def _amounts(columns: Columns, kind: Kind) -> set[int]:
    return {index for one in kind.fields if one.is_amount for index in columns.fields.get(one.name, ())}


def _questions(
    table: Table, columns: Columns, kind: Kind, evidence: Evidence, options: Mapping[str, Any]
) -> list[Question]:
    """What the file cannot say. What is sure is not asked."""
    asked = [
        *_about_text(table),
        *_about_decimal(evidence, options),
        *_about_currency(columns, evidence, options),
        *_about_columns(columns, kind, evidence, options, table),
        *kind.questions(options, columns.fields, columns.spread),
    ]
    clearable = [name for name in kind.clearable() if name in columns.fields]
    if clearable:
        sentence = f"Does a blank cell leave what there is of {', '.join(clearable)}, or clear it?"
        asked.append(Question(name=BLANK, question=sentence, choices=[LEAVE, CLEAR], answer=options.get(BLANK, LEAVE)))
    return asked


def _clears(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a blank cell of this field clears it. It is said for all fields, or for some."""
    said = options.get(BLANK, LEAVE)
    return (said.get(name) if isinstance(said, dict) else said) == CLEAR


def _about_text(table: Table) -> list[Question]:
    if len(table.sheets) > 1:
        sentence = "The workbook has several sheets. Which one is to be read?"
        return [Question(name="sheet", question=sentence, choices=table.sheets, answer=table.sheet)]
    if table.coding and table.coding.readings:
        return [_in_which_encoding(table.coding)]
    if table.coding and table.coding.sample:
        sentence = f"The file is not in Unicode. Are these letters right: {values.quoted(table.coding.sample, 100)}?"
        return [Question(name="encoding", question=sentence, choices=ENCODINGS, answer=table.coding.encoding)]
    return []


def _in_which_encoding(coding: Coding) -> Question:
    """The likely ones come first."""
    readings = "; ".join(f"{name}: {values.quoted(words, 60)}" for name, words in coding.readings.items())
    sentence = f"In which encoding is the file? Words of it read so: {readings}."
    choices = list(dict.fromkeys((*coding.readings, *ENCODINGS)))
    return Question(name="encoding", question=sentence, choices=choices, needed=True)


def _about_decimal(evidence: Evidence, options: Mapping[str, Any]) -> list[Question]:
    points, commas, either = (evidence.signs[sign] for sign in (".", ",", "?"))
    if given := options.get("decimal"):
        return [Question(name="decimal", question=_DECIMAL, choices=[".", ","], answer=given)]
    if points and commas:
        sentence = f"{_DECIMAL} {points:,} numbers have a point, {commas:,} a comma."
        return [Question(name="decimal", question=sentence, choices=[".", ","], needed=True)]
    if either and not points and not commas:
        sentence = f"{_DECIMAL} Numbers such as 1.299 and 1,299 may be read either way."
        return [Question(name="decimal", question=sentence, choices=[".", ","], needed=True)]
    if commas:
        return [Question(name="decimal", question=_DECIMAL, choices=[".", ","], answer=",")]
    return []


_DECIMAL = "Which is the decimal sign?"


def _about_currency(columns: Columns, evidence: Evidence, options: Mapping[str, Any]) -> Iterator[Question]:
    """Where some amounts name one and others none, or what they name may be several."""
    usual, given = Reading().currency, options.get("currency")
    signs = {sign: meant for sign in evidence.beside if (meant := values.currencies_of(sign))}
    signs |= {sign: meant for sign in columns.currencies.values() if (meant := values.currencies_of(sign))}
    named = {usual if usual in meant else meant[0] for meant in signs.values() if usual in meant or len(meant) == 1}
    for sign, meant in signs.items():
        if len(meant) > 1 and usual not in meant:
            sentence = f"Which currency is {values.quoted(sign)}? Prices that name none are in it too."
            yield Question(name="currency", question=sentence, choices=list(meant), answer=given, needed=True)
            return
    if evidence.beside[""] and named - {usual}:
        sentence = (
            f"Some prices name a currency ({', '.join(sorted(named))}), and {evidence.beside['']:,} name none. "
            "In which currency are those?"
        )
        choices = sorted(named | {usual})
        yield Question(name="currency", question=sentence, choices=choices, answer=given, needed=True)


def _about_columns(
    columns: Columns, kind: Kind, evidence: Evidence, options: Mapping[str, Any], table: Table
) -> Iterator[Question]:
    headers = mapping.as_sent(columns.names)
    key = kind.fields[0].name
    if kind.says_more and not columns.preset and columns.fields.keys() == {key}:
        sentence = f"No column but {key} is known, and so the file says nothing. Say which is what."
        yield Question(name="mapping", question=sentence, choices=columns.names, needed=True)
    for one in kind.fields:
        indexes = columns.fields.get(one.name, [])
        is_made = bool(columns.preset and one.name in columns.preset.makes)
        if one.name == kind.spread_field and columns.spread:
            is_made = True
        if (one.needed or one.name in kind.says) and not indexes and not is_made:
            sentence = f"Which column is {one.name}? A file needs a row with its columns' names."
            yield Question(name="mapping", question=sentence, choices=columns.names, needed=True)
        elif near := mapping.sounding(columns, one, kind) or _like_amounts(columns, one, kind, table):
            sentence = (
                f"No column is known as {one.name}. Is it one of: {', '.join(near)[:300]}? Say which one, and leave "
                "out each that is not."
            )
            yield Question(name="mapping", question=sentence, choices=near, needed=True)
        there = [index for index in indexes if evidence.filled[index]]
        filled = [columns.names[index] for index in there]
        answer = options.get(one.name)
        if not one.ask and not one.denied and len({plain(headers[index]) for index in there}) < len(there):
            sentence = f"Several columns are called {one.name}. Leave out all but one."
            yield Question(name="mapping", question=sentence, choices=filled, needed=True)
        is_doubtful = len(filled) == 1 and filled[0] not in columns.given and mapping.is_doubtful(filled[0], one)
        if one.ask and (len(filled) > 1 or is_doubtful):
            others: list[str] = []
            sentence = f"{one.ask} Where it is blank, the other one counts."
            if is_doubtful:
                others = _with_amounts(list(_first_rows(table, columns, kind)), columns)
                or_another = f", or is it one of: {', '.join(others)[:300]}" if others else ""
                sentence = (
                    f"Is {filled[0]} the {one.name} that the shop asks{or_another}? If none is, leave the column out."
                )
            yield Question(
                name=one.name,
                question=sentence,
                choices=[*filled, *others],
                answer=answer if answer in filled else None,
                needed=True,
            )


def _like_amounts(columns: Columns, one: Field, kind: Kind, table: Table) -> list[str]:
    """The columns that may be this field, by what is in them, where without it new rows would be refused."""
    unused = mapping.unused(columns)
    says_nothing = columns.fields.keys() <= {kind.fields[0].name}  # which is asked of already
    if columns.preset or says_nothing or one.name != kind.for_new or one.name in columns.fields or not unused:
        return []
    rows = list(_first_rows(table, columns, kind))
    for row in rows:
        _understand(row, kind, Reading(), {})
    if not kind.any_is_new([row.values for row in rows if not row.refusal and not row.skipped]):
        return []
    return _with_amounts(rows, columns)


def _first_rows(table: Table, columns: Columns, kind: Kind) -> Iterator[Parsed]:
    return itertools.islice(_parsed(table.rows(), columns, kind), _TOLD_BY)


def _with_amounts(rows: list[Parsed], columns: Columns) -> list[str]:
    """The columns that are nothing yet, and full of amounts."""
    found = []
    for at in mapping.unused(columns):
        cells = [row.cells[at] for row in rows if at < len(row.cells) and row.cells[at].strip()]
        if any(map(values.has_cents, cells)) and all(map(values.may_be_amount, cells)):
            found.append(columns.names[at])
    return found


def _answer(questions: Sequence[Question], name: str) -> Any:
    return next((one.answer for one in questions if one.name == name), None)


def _detected(table: Table, columns: Columns, questions: Sequence[Question]) -> dict[str, Any]:
    return {
        "format": "xlsx" if table.dialect is None else "csv",
        "encoding": table.coding.encoding if table.coding else None,
        "delimiter": table.dialect.delimiter if table.dialect else None,
        "decimal": _answer(questions, "decimal") or ".",
        "sheet": table.sheet or None,
        "header_row": columns.header_line,
        "preset": columns.preset.name if columns.preset else None,
        "columns": columns.names,
        "mapping": columns.mapping(),
    }


def _about_sheet(table: Table, options: Mapping[str, Any]) -> list[str]:
    is_chosen = table.sheets and table.sheet != table.sheets[0] and not options.get("sheet")
    return [
        *([f"The sheet {values.quoted(table.sheet)} is read: its columns are known best."] if is_chosen else []),
        *([_about_hidden(table)] if table.hidden else []),
    ]


def _about_hidden(table: Table) -> str:
    hidden = ", ".join(map(values.quoted, table.hidden))[:500]
    return f"Not read, because they are hidden: {hidden}. Show them, and send the file again."


def _notes(columns: Columns) -> list[str]:
    mapped = {index for indexes in columns.fields.values() for index in indexes} | set(columns.spread)
    unknown = [name for index, name in enumerate(columns.names) if index not in mapped]
    denied = ", ".join(columns.names[index] for index in sorted(columns.denied))
    return [
        *([f"Not used: {', '.join(unknown)}."[:2_000]] if unknown else []),
        *([f"These say the opposite, yes for no: {denied}."[:2_000]] if denied else []),
    ]


# -- row by row -------------------------------------------------------------------------------------------------------


def _parsed(rows: Iterator[Row], columns: Columns, kind: Kind) -> Iterator[Parsed]:
    codes = {one.name for one in kind.fields if one.is_code}
    first: Cells = {}
    group = ""
    for number, (line, cells) in enumerate(rows, 1):
        if line <= columns.header_line or not any(cell and not cell.isspace() for cell in cells):
            continue
        is_odd = type(cells) is not list or len(cells) > columns.width
        if is_odd and (refusal := _not_in_columns(cells, columns)):
            yield Parsed(number, line, cells, refusal=[refusal])
            continue
        preset = columns.preset
        try:
            found = _cells(cells, columns, codes)
            if preset is None or not preset.group or found.get(preset.group, "") != group or not group:
                group = found.get(preset.group, "") if preset and preset.group else ""
                first = found
            shaped = preset.shape(found, first) if preset else found
        except _OF_A_ROW as error:
            yield Parsed(number, line, cells, refusal=[_unclear(line, error)])
            continue
        if isinstance(shaped, Skip):
            yield Parsed(number, line, cells, skipped=str(shaped))
            continue
        if columns.spread:
            for column, one in _spread(shaped, cells, columns, kind):
                yield Parsed(number, line, cells, one, column)
        else:
            yield Parsed(number, line, cells, shaped)


def _unclear(line: int, error: Exception) -> str:
    log.warning("import_row_failed", line=line, exc_info=error)
    return _UNCLEAR


def _not_in_columns(cells: list[str], columns: Columns) -> str:
    """Why nobody can tell which of the row's cells are in which column, if so."""
    if isinstance(cells, Torn):
        return cells[0]
    there = next((index for index in range(len(cells), columns.width, -1) if cells[index - 1].strip()), 0)
    return (
        f"This row has {there} cells, and the header {columns.width}. A cell in which the delimiter is a letter needs "
        "quotation marks around it."
        if there
        else ""
    )


def _cells(cells: list[str], columns: Columns, codes: set[str]) -> Cells:
    """Field -> cell: of several columns the first that is not blank. ``codes``: fields that are some."""
    found: Cells = {}
    for name, indexes in columns.fields.items():
        for index in indexes:
            cell = cells[index] if index < len(cells) else ""
            if cell and type(cell) is str:
                cell = values.bare(cell, is_code=name in codes)
            if index in columns.currencies:
                cell = values.in_currency(cell, columns.currencies[index])
            if index in columns.denied and not isinstance(cell, Formula):
                cell = values.Denied(cell)
            found.setdefault(name, cell)
            if cell:
                found[name] = cell
                if name not in columns.every or not values.is_yes(cell):
                    break
    return found


def _spread(shaped: Cells, cells: list[str], columns: Columns, kind: Kind) -> Iterator[tuple[int, Cells]]:
    for index, stands_for in columns.spread.items():
        cell = cells[index] if index < len(cells) else ""
        yield index, shaped | stands_for | {kind.spread_field: values.bare(cell) if type(cell) is str else cell}


def _as_sent(cells: list[str], columns: Columns, kind: Kind, decimal: str, *, only: int | None) -> list[str]:
    """The row's cells as a text file has them: numbers of a workbook in the sign of its texts, and as it shows them.
    ``only``: of the columns that make a row each, the one that stays. What stands beyond the header stays too."""
    numbers, amounts = _numbers(columns, kind), _amounts(columns, kind)
    codes = {index for one in kind.fields if one.is_code for index in columns.fields.get(one.name, ())}
    found = []
    for index, cell in enumerate(cells[: len(columns.names)] if len(cells) <= columns.width else cells):
        if only is not None and index != only and index in columns.spread:
            cell = ""
        elif isinstance(cell, values.Number):
            if index in amounts:
                cell = f"{values.amount_shown(cell).replace('.', decimal)} {cell.form.sign}".rstrip()
            elif index in numbers:
                cell = cell.replace(".", decimal)
            elif index in codes:
                cell = code_of(cell) or cell
        found.append(values.stored(cell))
    return found


def _understand(parsed: Parsed, kind: Kind, reading: Reading, options: Mapping[str, Any]) -> None:
    try:
        _understand_cells(parsed, kind, reading, options)
    except _OF_A_ROW as error:
        parsed.refusal.append(_unclear(parsed.line, error))


def _understand_cells(parsed: Parsed, kind: Kind, reading: Reading, options: Mapping[str, Any]) -> None:
    cells = parsed.fields
    reading.warnings = [cells[WARNING]] if WARNING in cells else []
    reading.cells = cells
    for one in kind.fields:
        cell = cells.get(one.name)
        if cell is None:
            continue
        try:
            _take(one, cell, reading, options, parsed.values)
        except ValueError as error:
            parsed.refusal.append(f"{one.name}: {error}")
    if not parsed.refusal:
        try:
            parsed.values = kind.finish(parsed.values, options)
        except Skipped as why:
            parsed.skipped = str(why)
            return
        except ValueError as error:
            parsed.refusal.append(str(error))
    missing = [one.name for one in kind.fields if one.needed and one.name not in parsed.values]
    if missing and not parsed.refusal:
        parsed.refusal.append(f"{missing[0]}: This is blank.")
    parsed.warnings = reading.warnings


def _take(one: Field, cell: str, reading: Reading, options: Mapping[str, Any], found: Values) -> None:
    if isinstance(cell, Formula):
        raise ValueError(f"This cell is a formula ({cell[:40]}). Save the file with values in its place.")
    if one.is_code and isinstance(cell, values.NoText):
        raise ValueError(f"The workbook has {cell.what} here ({cell}), and not a code. Make the cell a text.")
    if one.is_code and isinstance(cell, values.Number):
        cell = _code(one, cell, reading)
    if isinstance(cell, Cut) and not one.is_currency:
        reading.warn(
            f"{one.name}: A cell has room for {len(cell):,} characters. The end is missing, so it is left as it is."
        )
        return
    if cell in values.ERRORS and not isinstance(cell, values.Text):
        raise ValueError(f"The spreadsheet has an error here ({cell}).")
    if cell:
        said = one.read(cell, reading)
        if said is not None:
            found[one.name] = said
    elif one.cleared is not None and _clears(one.name, options):
        found[one.name] = one.cleared


def _code(one: Field, cell: values.Number, reading: Reading) -> str:
    code = code_of(cell)
    if code is None:
        reading.warn(
            f"{one.name}: The workbook has {cell} here, and shows it as {cell.form.written}. Is this the code?"
        )
    return code or str(cell)


def _judge(
    lease: Lease, kind: Kind, parsed: Iterator[Parsed], reading: Reading, options: Mapping[str, Any], columns: Columns
) -> None:
    """Write the lines, piece by piece, from where an earlier worker stopped."""
    counts = Counter(lease.row.counts)
    position = lease.row.position
    understood = _understood(itertools.islice(parsed, position, None), kind, reading, options)
    taken = _taken(lease)
    with ThreadPoolExecutor(1) as thread:
        for piece in _made_ahead(understood, thread, lease):
            if position + len(piece) > MAX_ROWS:
                raise BadFile(f"The file has more than {MAX_ROWS:,} rows. Send it in parts.")
            lines = _lines(lease, kind, piece, position, taken)
            for line, one in zip(lines, piece, strict=True):
                if line.warned or line.outcome == Outcome.REFUSED:
                    line.cells = _as_sent(one.cells, columns, kind, reading.decimal, only=one.column)
            position += len(piece)
            for line in lines:
                counts[line.outcome] += 1
                counts["warned"] += line.warned

            def write(lines: list[ImportLineRow] = lines, at: int = position, row: int = piece[-1].number) -> None:
                lease.advance(position=at, done=min(row, lease.row.row_count), counts=dict(counts))
                adds_lines(lease.context)(lines)

            run_in_unit_of_work(lease.context, write)


def _understood(
    parsed: Iterator[Parsed], kind: Kind, reading: Reading, options: Mapping[str, Any]
) -> Iterator[list[Parsed]]:
    """Pieces, for which no database is asked."""
    while piece := list(itertools.islice(parsed, PIECE)):
        for one in piece:
            if not (one.refusal or one.skipped):
                _understand(one, kind, reading, options)
        yield piece


def _made_ahead(pieces: Iterator[list[Parsed]], thread: ThreadPoolExecutor, lease: Lease) -> Iterator[list[Parsed]]:
    """The next one is made in the thread while this one is judged and written. Who carries on may wait for the first
    one for long. Lost."""
    waits = thread.submit(next, pieces, None)
    while True:
        while not wait([waits], timeout=1).done:
            lease.renew()
        if (piece := waits.result()) is None:
            return
        waits = thread.submit(next, pieces, None)
        yield piece


def _renewing(parsed: Iterator[Parsed], lease: Lease) -> Iterator[Parsed]:
    for number, one in enumerate(parsed):
        if number % 500 == 0:
            lease.renew()
        yield one


def _taken(lease: Lease) -> set[int]:
    """Hashes of the keys of lines that were read: most files have no key twice, and then none of them is looked up."""
    found: set[int] = set()
    for first in range(1, lease.row.position + 1, _AT_ONCE):
        lines = _accepted(lease).filter(position__range=(first, first + _AT_ONCE - 1))
        found.update(map(hash, lines.values_list("key", flat=True)))
        lease.renew()
    return found


def _accepted(lease: Lease) -> Any:
    lines = lines_of(lease.context).filter(import_pk=lease.row.pk)
    return lines.exclude(outcome__in=(Outcome.REFUSED, Outcome.SKIPPED))


def _lines(lease: Lease, kind: Kind, piece: list[Parsed], position: int, taken: set[int]) -> list[ImportLineRow]:
    right = [one for one in piece if not one.refusal and not one.skipped]
    keys = {id(one): kind.key(one.values)[:_MAX_KEY] for one in right}
    verdicts = {id(one): verdict for one, verdict in _verdicts(lease, kind, right, keys, taken)}
    made = []
    for number, one in enumerate(piece, position + 1):
        verdict = verdicts.get(id(one))
        if one.skipped:
            verdict = Verdict(outcome=Outcome.SKIPPED, messages=[one.skipped])
        elif verdict is None:
            verdict = refused(*one.refusal)
        is_refused = verdict.outcome == Outcome.REFUSED
        made.append(
            lines_of(lease.context).model(
                import_pk=lease.row.pk,
                position=number,
                line=one.line,
                key=keys.get(id(one)) or _key_of(kind, one),
                outcome=verdict.outcome,
                warned=not is_refused
                and bool(one.warnings or (verdict.messages and verdict.outcome != Outcome.SKIPPED)),
                values={} if is_refused else one.values,
                changes=verdict.changes,
                messages=[*map(values.stored, (*verdict.messages, *one.warnings))],
            )
        )
    return made


def _key_of(kind: Kind, one: Parsed) -> str:
    """That of a row that is refused or skipped, by which it is found and, where it is a person's, erased."""
    try:
        return kind.key(one.values)[:_MAX_KEY]
    except KeyError:
        return str(one.values.get(kind.fields[0].name, ""))[:_MAX_KEY]


def _verdicts(
    lease: Lease, kind: Kind, rows: list[Parsed], keys: Mapping[int, str], taken: set[int]
) -> Iterator[tuple[Parsed, Verdict]]:
    """Of two rows with the same key the second is skipped if all that it says is said already, and else refused."""
    again = {key for key in keys.values() if hash(key) in taken} if kind.unique else set()
    seen = _seen(lease, again) if again else {}
    singles = []
    for one in rows:
        before = seen.get(keys[id(one)])
        if before is None:
            if kind.unique:
                seen[keys[id(one)]] = (one.line, one.values)
            singles.append(one)
            continue
        said = {name: value for name, value in one.values.items() if name not in kind.keyed}
        if all(before[1].get(name) == value for name, value in said.items()):
            yield one, Verdict(outcome=Outcome.SKIPPED, messages=[f"Line {before[0]} says the same."])
        else:
            yield one, refused(_says_otherwise(keys[id(one)], before, said))
    for one, verdict in zip(singles, _looked(kind, singles), strict=True):
        if kind.unique and verdict.outcome != Outcome.REFUSED:
            taken.add(hash(keys[id(one)]))
        yield one, verdict


def _looked(kind: Kind, rows: list[Parsed]) -> list[Verdict]:
    """What they would do, all together. If one breaks that, each is looked at alone, and the one is refused."""
    found = [one.values for one in rows]
    try:
        return kind.look(found, kind.prepare(found))
    except _OF_A_ROW as error:
        if len(rows) == 1:
            return [refused(_unclear(rows[0].line, error))]
        return [verdict for one in rows for verdict in _looked(kind, [one])]


def _says_otherwise(key: str, before: tuple[int, Values], said: Values) -> str:
    line, first = before
    more = [name for name in said if name not in first]
    if all(first[name] == said[name] for name in said if name in first):
        return f"{key} stands on line {line} already, where {more[0]} is blank. Send this row again when it is applied."
    return f"{key} stands on line {line} already, with other values."


def _seen(lease: Lease, keys: set[str]) -> dict[str, tuple[int, Values]]:
    rows = _accepted(lease).filter(key__in=keys).values_list("key", "line", "values")
    found: dict[str, tuple[int, Values]] = {}
    for key, line, said in rows.order_by("-position"):
        found[key] = (line, said)
    return found
