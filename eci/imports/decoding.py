"""Text files: in which encoding they are, and what separates their cells. Then the standard csv module reads them."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Literal

import charset_normalizer

from eci.imports import western
from eci.imports.errors import BadFile

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_CELL = 200_000  # characters
LONGEST_LINE = 2_000_000
_SAMPLE = 256 * 1024  # bytes
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What files of shops are in, where they are not in Unicode: what is guessed, and what else may be said.
_GUESSED = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("cp932", "gb18030", "big5", "cp949", "mac_roman", "cp850", "koi8_r", "iso8859_2", "cp866", "cp852"),
]
ENCODINGS = [
    *_GUESSED,
    *("koi8_u", "iso8859_5", "iso8859_7", "iso8859_9", "iso8859_15", "cp437", "euc_jp", "iso2022_jp"),
]
_AS_LIKELY, _FEW = 0.02, 20  # charset-normalizer cannot tell short texts apart, and guesses at fewer words than these
_READINGS, _READ = 12, 60  # of words that are asked about, and characters of each
_WORDS = 4
_APART = re.compile(rb"[\s;,\t\"]+")  # between words, in any of these encodings
_JAPANESE = re.compile(rb"\x1b\$[@B]|\x1b\([JI]")  # in seven bits, as old mail programs write it
_WRAPPED = 200  # lines that tell
_PAIR = re.compile('""')
_SEP = re.compile(r"\ufeff?\"?sep=(.)\"?\s*")
csv.field_size_limit(LONGEST_CELL)


@dataclass(frozen=True, kw_only=True)
class Coding:
    """``is_damaged``: some bytes are not in this encoding. ``sample``: of one that is only likely, a line with letters
    that tell whether it is right. ``readings``: of one that is a mere guess, what words of the file may be instead."""

    encoding: str
    is_damaged: bool = False
    sample: str = ""
    readings: dict[str, str] = field(default_factory=dict)


def coding_of(file: IO[bytes]) -> Coding:
    """In which encoding the file is."""
    file.seek(0)
    head = file.read(_SAMPLE)
    for bom, encoding in _BOMS.items():
        if head.startswith(bom):
            return Coding(encoding=encoding)
    if head[:1024].count(0) > len(head[:1024]) / 4:
        return Coding(encoding="utf-16-be" if head[0] == 0 else "utf-16-le")
    bad = _first_bad(file, "utf-8")
    if bad is None:
        is_japanese = _JAPANESE.search(head) and _first_bad(file, "iso2022_jp") is None
        return _likely("iso2022_jp", head) if is_japanese else Coding(encoding="utf-8")
    sample = _about(file, bad)
    as_utf8 = sample.decode(errors="replace")
    damaged = as_utf8.count("\ufffd")
    if sum(not character.isascii() for character in as_utf8) > 5 * damaged:
        return Coding(encoding="utf-8", is_damaged=True)
    lines = _telling(sample)
    found = charset_normalizer.from_bytes(lines, cp_isolation=_GUESSED)
    best = found.best()
    likely = {
        name for one in found if best and one.chaos <= best.chaos + _AS_LIKELY for name in one.could_be_from_charset
    }
    as_western = lines.decode("cp1252", errors="replace")
    is_western = western.is_western(as_western) and ("cp1252" in likely or len(_words(lines)) < _FEW)
    if is_western and _first_bad(file, "cp1252") is None:
        return _likely("cp1252", lines)
    return _guess(file, lines, best.encoding if best else "cp1252")


def guessed(file: IO[bytes]) -> Coding:
    """What the file may be in, where it is not in what it was said to be."""
    return _guess(file, _telling(_about(file, _first_bad(file, "ascii") or 0)), "utf-8")


def _about(file: IO[bytes], at: int) -> bytes:
    file.seek(max(0, at - _SAMPLE // 2))
    return file.read(_SAMPLE)


def _telling(sample: bytes) -> bytes:
    """The lines that tell something of the encoding."""
    return b"\n".join(line for line in sample.splitlines() if not line.isascii())


def _words(lines: bytes) -> list[bytes]:
    return list(dict.fromkeys(word for word in _APART.split(lines) if not word.isascii()))


def _likely(encoding: str, lines: bytes) -> Coding:
    there = lines.decode(encoding, errors="replace").splitlines()
    return Coding(encoding=encoding, sample=next((line for line in there if not line.isascii()), "")[:100])


def _guess(file: IO[bytes], lines: bytes, likely: str) -> Coding:
    """The likely one, or else the first one in which the whole file is, until somebody says which it is."""
    words = _words(lines)[:_WORDS]
    readings: dict[str, str] = {}
    for encoding in dict.fromkeys((likely, *ENCODINGS)):
        with suppress(UnicodeError):
            lines.decode(encoding)
            read = ", ".join(word.decode(encoding) for word in words)[:_READ]
            is_text = all(letter.isprintable() or letter.isspace() for letter in read)
            if is_text and read not in readings.values() and len(readings) < _READINGS:
                readings[encoding] = read
    whole = (encoding for encoding in (*readings, *ENCODINGS) if _first_bad(file, encoding) is None)
    return Coding(encoding=next(whole, likely), readings=readings)


def _first_bad(file: IO[bytes], encoding: str) -> int | None:
    """Where the file is not in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    at = 0
    while piece := file.read(_SAMPLE):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            return max(0, at - pending + error.start)
        at += len(piece)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return at - 1
    return None


_OF_NO_FILE = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}


def is_encoding(name: str) -> bool:
    """Whether files are written in it."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return found._is_text_encoding and found.name not in _OF_NO_FILE


def open_text(file: IO[bytes], encoding: str, *, damaged: bool = False) -> io.TextIOWrapper:
    file.seek(0)
    # The wrapper would close the file with itself, which is read again.
    return io.TextIOWrapper(_Unclosed(file), encoding, errors="replace" if damaged else "strict", newline="")


class _Unclosed(io.BufferedReader):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(io.FileIO(file.fileno(), closefd=False))
        self.seek(0)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """``skipped`` is how many lines stand before the table: Excel's ``sep=;``. ``wrapped``: each line stands between
    quotation marks as a whole, as the cell of a table into which it was pasted."""

    delimiter: str
    quoted: bool = True
    skipped: int = 0
    wrapped: bool = False


def dialect_of(text: io.TextIOWrapper, recognised: Callable[[list[list[str]]], int]) -> Dialect:
    """The delimiter that finds the most known column names, then the most cells in the same number."""
    try:
        sample = text.read(_SAMPLE)
    except UnicodeError:
        raise Undecodable(text.encoding) from None
    found = _SEP.match(sample.partition("\n")[0])
    skipped = 0
    if found:
        skipped, sample = 1, sample.partition("\n")[2]
    given = [found[1]] if found else list(DELIMITERS)

    wrapped = _are_wrapped(sample)

    def score(delimiter: str) -> tuple[int, int, int]:
        records = _records(sample, delimiter, wrapped=wrapped)
        lengths = Counter(len(record) for record in records if record)
        width, times = max(lengths.items(), key=lambda one: (one[1], one[0])) if lengths else (0, 0)
        return recognised(records), times if width > 1 else 0, width

    delimiter = max(given, key=score)
    quoted = wrapped or delimiter != "\t" or _are_quoted(sample)
    return Dialect(delimiter=delimiter, quoted=quoted, skipped=skipped, wrapped=wrapped)


def _records(sample: str, delimiter: str, *, wrapped: bool) -> list[list[str]]:
    found: list[list[str]] = []
    with suppress(csv.Error):
        found.extend(itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 40))
    return [_unwrapped(record, delimiter) for record in found] if wrapped else found


def _are_wrapped(sample: str) -> bool:
    """Whether each line is one cell between quotation marks, the first one with a delimiter in it."""
    lines = [line for line in sample.splitlines() if line][:_WRAPPED]
    whole = all(len(line) > 2 and line[0] == line[-1] == '"' and '"' not in _PAIR.sub("", line[1:-1]) for line in lines)
    return bool(lines) and whole and any(sign in lines[0] for sign in DELIMITERS)


def _unwrapped(record: list[str], delimiter: str) -> list[str]:
    with suppress(csv.Error):
        return next(_reader(record, delimiter, csv.QUOTE_MINIMAL)) if len(record) == 1 else record
    return record


def _are_quoted(sample: str) -> bool:
    """Whether quotation marks around cells are marks. Many files with tabs have none: a ``"`` there is a letter."""
    cells = [cell for line in sample.splitlines() for cell in line.split("\t") if cell.startswith('"')]
    return any(len(cell) > 1 and cell.endswith('"') for cell in cells) and all(
        cell[1:-1].replace('""', "").find('"') < 0 for cell in cells if len(cell) > 1 and cell.endswith('"')
    )


class Torn(list[str]):
    """A record whose quotation marks do not pair. Its one cell says so."""


def records(text: io.TextIOWrapper, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins. BadFile."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE
    wrapped = dialect.wrapped
    line = 0
    try:
        for _ in range(dialect.skipped):
            text.readline()
        last = [""]
        lines = _lines(text, dialect.skipped, last)
        reader = _reader(lines, dialect.delimiter, quoting)
        while True:
            try:
                for record in reader:
                    yield dialect.skipped + line + 1, _unwrapped(record, dialect.delimiter) if wrapped else record
                    line = reader.line_num
                return
            except csv.Error as error:  # the reader goes on with the line after
                first, end = dialect.skipped + line + 1, dialect.skipped + reader.line_num
                if "field larger" in str(error):
                    raise BadFile(
                        f"Line {first}: a cell has more than {LONGEST_CELL:,} characters. Is a quotation mark opened "
                        "there, and never closed?"
                    ) from None
                alone = _padded(last[0], dialect.delimiter, quoting) if first == end else None
                yield first, alone or Torn([_torn(first, end)])
                line = reader.line_num
    except UnicodeError:
        raise Undecodable(text.encoding) from None


def _reader(lines: Iterable[str], delimiter: str, quoting: Literal[0, 3]) -> Any:
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=delimiter != "\t")


def _padded(line: str, delimiter: str, quoting: Literal[0, 3]) -> list[str] | None:
    """The record of a line with spaces between quotation marks and delimiters, if that is all that is odd about it."""
    close = re.sub(rf'"[ \t]+(?={re.escape(delimiter)}|[\r\n]*\Z)', '"', line)
    with suppress(csv.Error):
        return next(iter(_reader([close], delimiter, quoting)), None)
    return None


def _torn(first: int, last: int) -> str:
    rows = f"of lines {first} to {last}, of which nothing is taken, " if last > first else "of this row "
    return f"The quotation marks {rows}do not pair. Within a cell that has some around it, one is written twice."


def _lines(text: io.TextIOWrapper, skipped: int, last: list[str]) -> Iterator[str]:
    """So that no file of one line is in memory as a whole. ``last``: the line that was read last."""
    number = skipped
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise BadFile(f"Line {number} has more than {LONGEST_LINE:,} characters. Is this a table?")
        last[0] = line
        yield line


class Undecodable(BadFile):
    """The file is not in the encoding that somebody has said, or that its first bytes say."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"The file is not wholly in {encoding}. Say which encoding it is in, or save it as UTF-8.")
