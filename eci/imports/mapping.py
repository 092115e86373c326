"""Which row of a table names its columns, and which column is which field."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eci.imports import values
from eci.imports.errors import BadFile
from eci.imports.kinds import Field, Kind, Preset, plain
from eci.imports.tables import MAX_COLUMNS, Row

HEADER_WITHIN = 20  # rows
NOTHING = ""  # what a column is mapped to that is no field
_ASIDE = re.compile(r"[(\[][^()\[\]]*[)\]]")
_APART = re.compile(r"[()\[\]/,;:–-]")  # what stands in brackets after a price is said of it, or before a hyphen


@dataclass
class Columns:
    """``fields``: the columns of each field, the preferred one first. ``spread``: those that are rows of their own.
    ``width``: how many cells the header has, blank ones too. ``currencies``: of amounts, as their columns' names say.
    ``denied``: columns that say the opposite of their field. ``every``: fields of which each column must say yes.
    ``given``: columns of which somebody has said what they are."""

    header_line: int
    width: int
    names: list[str]
    fields: dict[str, list[int]]
    preset: Preset | None = None
    spread: dict[int, dict[str, str]] = field(default_factory=dict)
    currencies: dict[int, str] = field(default_factory=dict)
    denied: set[int] = field(default_factory=set)
    every: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)

    def mapping(self) -> dict[str, str | None]:
        """For each column its field, or None."""
        of = {index: name for name, indexes in self.fields.items() for index in indexes}
        return {name: of.get(index) for index, name in enumerate(self.names)}

    def prefer(self, field_name: str, column: str) -> None:
        """Take this field from this column, and from the others only where it is blank."""
        indexes = self.fields[field_name]
        indexes.sort(key=lambda index: self.names[index] != column)


def recognised(rows: Sequence[Sequence[str]], kind: Kind, mapping: Mapping[str, Any]) -> int:
    """How many column names are known in the row that has the most of them."""
    known = _known(kind, mapping)
    return max((sum(plain(cell) in known for cell in row) for row in rows[:HEADER_WITHIN]), default=0)


def _known(kind: Kind, mapping: Mapping[str, Any]) -> set[str]:
    names = {plain(name) for one in kind.fields for name in (one.name, *one.names)}
    for preset in kind.presets:
        names.update(preset.columns, *(preset.signs if preset.refusal else ()))
    return names | {plain(name) for name in mapping}


def columns_of(rows: list[Row], kind: Kind, *, mapping: Mapping[str, Any], header_row: int | None) -> Columns:
    """``rows`` are the table's first ones. BadFile when there is no header, or no column that the kind knows."""
    known = _known(kind, mapping)
    if header_row is not None:
        header = next((row for row in rows if row[0] == header_row), None)
        if header is None:
            raise BadFile(f"There is no row {header_row} that could name the columns.")
    else:
        header = max(rows[:HEADER_WITHIN], key=lambda row: sum(plain(cell) in known for cell in row[1]), default=None)
        if header is None or not any(plain(cell) in known for cell in header[1]):
            header = _unknown_header(rows, kind)
    if len(header[1]) > MAX_COLUMNS:
        raise BadFile(f"Line {header[0]} has more than {MAX_COLUMNS:,} columns.")
    names = _unique([values.stored(cell.strip().lstrip("\ufeff")) for cell in header[1]])
    _require_known_columns(names, kind, mapping)
    preset = _preset(names, kind)
    if preset and preset.refusal and not mapping:
        raise BadFile(preset.refusal)
    named = {index: values.column_in(name) for index, name in enumerate(names)}
    fields = _fields(names, kind, preset, mapping, named)
    amounts = {index for one in kind.fields if one.is_amount for index in fields.get(one.name, ())}
    spread = {} if kind.spread_over in fields else kind.spread(names)
    return Columns(
        header_line=header[0],
        width=len(header[1]),
        names=names,
        fields=fields,
        preset=preset,
        spread={at: cells for at, cells in spread.items() if names[at] not in mapping},
        currencies={index: code for index, (_, code) in named.items() if code and index in amounts},
        denied={
            index
            for one in kind.fields
            for index in fields.get(one.name, ())
            if _plain_beside(names[index]) in map(plain, one.denied)
        },
        every={one.name for one in kind.fields if one.denied and len(fields.get(one.name, ())) > 1},
        given=set(mapping),
    )


def sounding(columns: Columns, one: Field, kind: Kind) -> list[str]:
    """The columns that may be this field, if no column is and nobody has said what they are. Of several fields that
    one sounds like it is the first."""
    if columns.preset or one.name in columns.fields:
        return []
    sounds = {columns.names[at]: _sounds(plain(columns.names[at]), kind) for at in unused(columns)}
    return [name for name, field_name in sounds.items() if field_name == one.name]


def _sounds(name: str, kind: Kind) -> str:
    return next((one.name for one in kind.fields if any(sound in name for sound in one.sounds)), "")


def unused(columns: Columns) -> list[int]:
    """The columns that are nothing, and of which nobody has said so."""
    used = {index for indexes in columns.fields.values() for index in indexes} | set(columns.spread)
    return [at for at, name in enumerate(columns.names) if at not in used and name not in columns.given]


def is_doubtful(name: str, one: Field) -> bool:
    return _beside_amount(values.column_in(name)[0], one) in map(plain, one.doubtful)


def _plain_beside(name: str, beside: frozenset[str] = frozenset()) -> str:
    """The name without what stands beside it: ``Active (0/1)``, ``price excl. VAT``."""
    words = (word for word in _ASIDE.sub(" ", name).replace("_", " ").split() if plain(word) not in beside)
    return plain("".join(words))


def _unknown_header(rows: list[Row], kind: Kind) -> Row:
    """The first row of a table, whose columns somebody must say. BadFile if it is none."""
    begins = [cell for cell in (rows[0][1] if rows else []) if cell]
    if len(begins) < 2:
        raise BadFile(
            f"No column is called as one of {kind.name} is: {', '.join(one.name for one in kind.fields)}. "
            f"The file begins with: {', '.join(begins)[:200] or 'nothing'}."
        )
    return rows[0]


def _unique(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    found: list[str] = []
    for at, name in enumerate(names, 1):
        made, times = name or f"column {at}", 1
        while made in found:
            times += 1
            made = f"{name or f'column {at}'} ({times})"
        found.append(made)
    return found


def as_sent(names: list[str]) -> list[str]:
    """The names as they stood in the file, where some may stand twice."""
    return [base if (base := _AGAIN.sub("", name)) in names[:at] else name for at, name in enumerate(names)]


def no_column(field_name: str, answer: Any, columns: Sequence[str]) -> str:
    """That the answer to what is asked of a field is none."""
    return f"options: {field_name} is no column {values.quoted(str(answer), 60)}. Columns: {', '.join(columns)[:500]}."


_AGAIN = re.compile(r" \(\d+\)\Z")


def _require_known_columns(names: list[str], kind: Kind, mapping: Mapping[str, Any]) -> None:
    fields = [one.name for one in kind.fields]
    for column, field_name in mapping.items():
        if column not in names:
            raise BadFile(f"The mapping names a column {values.quoted(column, 60)} that the file does not have.")
        if field_name not in (*fields, None, NOTHING):
            named = values.quoted(str(field_name), 60)
            raise BadFile(f"The mapping names a field {named}. Fields: {', '.join(fields)}.")


def _preset(names: list[str], kind: Kind) -> Preset | None:
    there = {plain(name) for name in names}
    found = [preset for preset in kind.presets if any(signs <= there for signs in preset.signs)]
    return max(found, key=lambda preset: max(len(signs) for signs in preset.signs if signs <= there), default=None)


def _fields(
    names: list[str],
    kind: Kind,
    preset: Preset | None,
    mapping: Mapping[str, Any],
    named: Mapping[int, tuple[str, str]],
) -> dict[str, list[int]]:
    """What is given comes first, then the preset, then the fields' own names. ``named``: the columns' names without the
    currency that they say, and that."""
    fields: dict[str, list[int]] = {}
    at: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(as_sent(names)):
        at[plain(name)].append(index)
    taken = {names.index(column) for column in mapping}
    for column, field_name in mapping.items():
        if field_name:
            fields.setdefault(field_name, []).append(names.index(column))
    given = set(fields)
    for column, field_name in (preset.columns if preset else {}).items():
        for index in at.get(column, ()):
            if index not in taken and field_name not in given:
                fields.setdefault(field_name, []).append(index)
                taken.add(index)
    if preset and preset.as_written:
        return fields
    for one in kind.fields:
        wanted = [plain(name) for name in (one.name, *one.names)]
        there = [at[name] for name in wanted if name in at]
        if not preset and one.denied:
            flags = {*wanted, *map(plain, one.denied)}
            there += [[index] for index, name in enumerate(names) if _plain_beside(name) in flags]
        if one.is_amount:
            there += [[index] for index, (name, code) in named.items() if _is_amount(name, code, one, wanted)]
        several = bool(one.ask or (one.denied and not preset))
        for indexes in there:
            free = [index for index in indexes if index not in taken]
            if free and one.name not in given and (one.name not in fields or several):
                fields.setdefault(one.name, []).extend(free)
                taken.update(free)
    return fields


def _is_amount(name: str, code: str, one: Field, wanted: Sequence[str]) -> bool:
    words = _beside_amount(name, one)
    return words in wanted if words else bool(code)


def _beside_amount(name: str, one: Field) -> str:
    return _plain_beside(_APART.sub(" ", name), one.beside)
