"""What a kind of import says of itself: its fields, the files of other shops that it knows, and what a row does.

A context's ``imports.py`` derives from ``Kind`` and its ``apps.py`` serves an instance of it. The kernel does the rest.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eci.errors import InvalidRequest
from eci.identity.roles import Roles
from eci.imports.rows import ImportLineRow, Outcome
from eci.imports.values import Reading, quoted

Cells = dict[str, str]  # field -> what its cell says
Values = dict[str, Any]  # field -> what that means, as JSON
Changes = dict[str, list[Any]]  # field -> [old, new]


WARNING = "!"  # the cell in which ``shape`` says what people should know of the row


def plain(name: str) -> str:
    """A column's name as it is compared: letters and digits only, without case and accents."""
    return "".join(character for character in unicodedata.normalize("NFKD", name.casefold()) if character.isalnum())


class Skip(str):
    """Why a row is no row of its own."""


class Skipped(Exception):
    """The same, once its cells are understood."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a kind.

    - ``read``: what a cell means, as JSON, or None for nothing at all; ValueError says why that cannot be said.
    - ``names``: what else columns of it are called.
    - ``cleared``: what a blank cell means where blank cells clear; None if the field cannot be empty.
    - ``is_code``: it may begin with zeros, which an apostrophe guards.
    - ``is_number``: its cells tell which decimal sign the file has.
    - ``is_amount``: its columns may say in which currency it is: ``Price (EUR)``. ``is_currency``: it says that itself.
    - ``ask``: what is asked when several columns may be this one.
    - ``doubtful``: those of its names that may be something else, and so are asked of where they are the only one.
    - ``beside``: words that may stand beside its names: ``price excl. VAT``.
    - ``denied``: what columns are called that say the opposite, yes or no. Of several columns of such a field, each
      must say yes.
    - ``sounds``: parts of words by which a column that nobody knows may be this one. Then it is asked.
    """

    name: str
    read: Callable[[str, Reading], Any]
    names: tuple[str, ...] = ()
    needed: bool = False
    cleared: Any = None
    is_code: bool = False
    is_number: bool = False
    is_amount: bool = False
    is_currency: bool = False
    ask: str = ""
    doubtful: tuple[str, ...] = ()
    beside: frozenset[str] = frozenset()
    denied: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()


def _as_it_is(cells: Cells, first: Cells) -> Cells | Skip:
    return cells


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Files of another shop, recognised by their columns.

    - ``signs``: sets of column names, in ``plain`` form, any of which is enough.
    - ``columns``: the field of each column, in ``plain`` form; several may be the same field. Fields that are not the
      kind's own are for ``shape``.
    - ``group``: rows that follow each other with the same cell here belong together.
    - ``shape``: what a row's cells come to, given those of the first row of its group.
    - ``makes``: fields that ``shape`` makes where the file has no column of them.
    - ``as_written``: its texts need no decoding.
    - ``refusal``: why such a file is none of this kind. Who says in the mapping what its columns are is believed.
    """

    name: str
    signs: tuple[frozenset[str], ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    shape: Callable[[Cells, Cells], Cells | Skip] = _as_it_is
    makes: tuple[str, ...] = ()
    as_written: bool = False
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the file cannot say. ``needed``: without an answer nothing is read; else ``answer`` holds until changed."""

    name: str
    question: str
    choices: list[str] = field(default_factory=list)
    answer: Any = None
    needed: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a row does, or has just done. Of a new thing nothing is old."""

    outcome: Outcome
    changes: Changes = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


def refused(*messages: str) -> Verdict:
    return Verdict(outcome=Outcome.REFUSED, messages=list(messages))


class Kind(ABC):
    """``unique``: no two rows of a file may have the same key and say something else. ``keyed``: fields that their key
    alone compares."""

    name: str
    context: str
    roles: Roles
    fields: tuple[Field, ...]
    presets: tuple[Preset, ...] = ()
    unique: bool = True
    keyed: frozenset[str] = frozenset()
    makes_ahead: bool = False  # not of people: they may be erased before their rows are written
    says_more: bool = False  # a file of its first field alone says nothing
    for_new: str = ""  # a field without which nothing new is made
    says: tuple[str, ...] = ()  # fields without a column of which a file says nothing; those that are needed too
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # its own, and what each may be; empty: any text
    maps: ClassVar[frozenset[str]] = frozenset()  # options that are an object of texts
    spread_field: str = ""  # the field of columns that ``spread`` finds
    spread_over: str = ""  # the field that their names are; where it has a column, nothing is spread

    @abstractmethod
    def key(self, values: Values) -> str:
        """What identifies the row's thing, as people know it."""

    def spread(self, columns: Sequence[str]) -> dict[int, Cells]:
        """Columns that make a row of their own each, such as one for each place; and the cells that each stands for."""
        return {}

    def any_is_new(self, rows: Sequence[Values]) -> bool:
        """Whether some of these are not there yet. Asked where the field ``for_new`` has no column."""
        return False

    def questions(
        self, options: Mapping[str, Any], columns: Mapping[str, Sequence[int]], spread: Mapping[int, Cells]
    ) -> list[Question]:
        """What this kind asks beside the kernel. ``columns``: those of each field."""
        return []

    def informed(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options for ``finish``, with what the kind must know of its own context."""
        return options

    def finish(self, values: Values, options: Mapping[str, Any]) -> Values:
        """The values, with what follows from several of them together. ValueError; Skipped."""
        return values

    def adds(self, options: Mapping[str, Any]) -> bool:
        """Whether its rows are added to what is there, so that the same file sent twice adds twice."""
        return False

    def ahead(self, rows: Sequence[Values]) -> Any:
        """What can be made of these rows, which were new when they were read, without asking anybody. Called in another
        thread, while the rows before them are written, if ``makes_ahead``."""
        return None

    def prepare(self, rows: Sequence[Values], ahead: Any = None) -> Any:
        """Ask other contexts what is needed to judge these rows. Called outside of any transaction."""
        return ahead

    def prepare_restoring(self, lines: Sequence[ImportLineRow]) -> Any:
        """The same, for lines that are taken back."""
        return self.prepare([line.values for line in lines])

    @abstractmethod
    def look(self, rows: Sequence[Values], prepared: Any) -> list[Verdict]:
        """What these rows would do. It writes and locks nothing."""

    @abstractmethod
    def write(self, rows: Sequence[Values], prepared: Any, *, actor: str) -> list[Verdict]:
        """Do what these rows say, inside the caller's unit of work; what was refused has no effect."""

    @abstractmethod
    def restore(self, lines: Sequence[ImportLineRow], prepared: Any, *, actor: str) -> list[str]:
        """Take back what these lines did, inside the caller's unit of work. For each "" or why it stays as it is."""

    def clearable(self) -> list[str]:
        """The fields of which a blank cell may mean that there is nothing."""
        return [one.name for one in self.fields if one.cleared is not None]

    def field_named(self, name: str) -> Field | None:
        return next((one for one in self.fields if one.name == name), None)


_kinds: dict[str, Kind] = {}


def serve(*kinds: Kind) -> None:
    for kind in kinds:
        _kinds[kind.name] = kind


def kinds_of(context: str) -> list[Kind]:
    return [kind for kind in _kinds.values() if kind.context == context]


def kind_named(name: str) -> Kind:
    """InvalidRequest for one that no context of this process has."""
    if name not in _kinds:
        sentence = f"There is no kind {quoted(name)}. Kinds: {', '.join(_kinds)}."
        raise InvalidRequest(f"kind: {sentence}", kind=[sentence])
    return _kinds[name]
