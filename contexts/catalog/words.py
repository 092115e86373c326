"""What is searched of a product, and what a search asks for: the rules, the same on every engine, without a database.

A product's text becomes *terms*: words without case and accents, each behind a letter that says where it stands (``n``
in the name, ``d`` in the description, …). So one index answers "in the name" as well as "anywhere", and a match is a
plain question of which terms are there. Scripts without spaces are cut into pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from eci.text import fold

LONGEST = 60  # characters of a word that count
MOST = 30  # words of a query that count
PART = 3  # letters that a part of a name needs to be looked up
COMPARED = 100  # characters of which folding makes no more than are compared of a category
MISTAKEN = 4  # letters that a word with a mistake has at least

# -- text -------------------------------------------------------------------------------------------------------------

_PLAIN_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
_PLAIN_SIGNS = {"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "–": "-", "—": "-"}
_PLAIN = _PLAIN_LETTERS | _PLAIN_SIGNS
_NOT_PLAIN = re.compile(f"[{''.join(_PLAIN)}]")
# Han, kana, Thai, Lao, Burmese, Khmer: no spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_INDIAN = "\u0900-\u0dff"  # their vowel signs belong to the words
_RUN = re.compile(f"([{_UNSPACED}]+)|(?:[{_INDIAN}]|[^\\W_{_UNSPACED}])+")
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_NO_PLAIN_WORD = re.compile(f"[{_INDIAN}{_UNSPACED}]")
_COMPOUND = re.compile(r"[^\W_]+(?:['&-][^\W_]+)+")
_ASCII_SIGNS = "".join(chr(code) if chr(code).isalnum() else " " for code in range(128))  # signs become spaces
_MAY_BE_MARKS = re.compile("[^\0-\u02ff]+")  # those before U+0300 combine with nothing


def plain(text: str) -> str:
    """The text without case, accents, compatibility forms and printers' signs."""
    if text.isascii():
        return text.lower()
    bare = _MAY_BE_MARKS.sub(_without_marks, unicodedata.normalize("NFKD", fold(text)))
    bare = unicodedata.normalize("NFC", bare).casefold()
    return _NOT_PLAIN.sub(lambda found: _PLAIN[found[0]], bare)


def _without_marks(found: re.Match[str]) -> str:
    return "".join(character for character in found[0] if not unicodedata.combining(character))


def words(text: str) -> list[str]:
    """The words of the text, in their order; of a script without spaces each pair of neighbours."""
    return _words(plain(text))


def _words(text: str) -> list[str]:
    """Of a plain text."""
    if text.isascii():
        return [word[:LONGEST] for word in text.translate(_ASCII_SIGNS).split()]
    if not _NO_PLAIN_WORD.search(text):
        for sign in set(text):  # in a third of the time that a regular expression takes
            if not sign.isalnum():
                text = text.replace(sign, " ")
        return [word[:LONGEST] for word in text.split()]
    found = []
    for run in _RUN.finditer(text):
        if run[1] and len(run[0]) > 1:
            found += [run[0][start : start + 2] for start in range(len(run[0]) - 1)]
        else:
            found.append(run[0][:LONGEST])
    return found


def _compounds(text: str) -> dict[str, list[str]]:
    """Of a plain text: what its compounds are without their signs, and the words of each. People write ``wifi`` for
    Wi-Fi and ``dont`` for don't. A range of numbers is none."""
    runs = [_words(run) for run in _COMPOUND.findall(text) if not _NO_PLAIN_WORD.search(run)]
    return {joined[:LONGEST]: run for run in runs if not (joined := "".join(run)).isnumeric()}


def _joined(text: str) -> str:
    """Letters and digits only: ``AB-100`` and ``ab 100`` are one."""
    text = plain(text)
    runs = text.translate(_ASCII_SIGNS).split() if text.isascii() else [run[0] for run in _RUN.finditer(text)]
    return "".join(runs)[:LONGEST]


# -- products ---------------------------------------------------------------------------------------------------------

KEY, SKU, NAME, CATEGORY, DESCRIPTION = "k", "s", "n", "c", "d"
_HAVE_COMPOUNDS = (NAME, CATEGORY)  # a description has hyphens of its own

# Terms of which all are listed that are there, but for those of SKUs: each product may have others. So are numbers.
LISTED = f"^[{NAME}{CATEGORY}{DESCRIPTION}][^0-9]..."


def is_listed(beginning: str) -> bool:
    """Whether all terms are that begin so."""
    return bool(re.match(LISTED, NAME + beginning))


def terms(*, sku: str, barcode: str, name: str, category: str, description: str) -> str:
    """The terms of a product, with a space before and after each."""
    found = {KEY + _joined(sku), KEY + barcode} - {KEY}
    for place, text in ((SKU, sku), (NAME, name), (CATEGORY, category), (DESCRIPTION, description)):
        bare = plain(text)
        found.update([place + word for word in set(_words(bare))])
        if place in _HAVE_COMPOUNDS:
            found.update([place + joined for joined in _compounds(bare)])
        if not bare.isascii():  # the end of a run of characters, too, begins with each of its characters
            found.update(place + run[-1] for run in _UNSPACED_RUN.findall(bare))
    return f" {' '.join(sorted(found))} "


def vocabulary(*, name: str, category: str) -> set[str]:
    """The words for which others may be typed by mistake, and all those of the name of which letters may be looked
    for. Numbers are none: each name may have another."""
    within = {word for word in words(name) if len(word) > PART and not word.isnumeric()}
    return within.union(filter(may_be_mistaken, words(category)))


def may_be_mistaken(word: str) -> bool:
    return len(word) >= MISTAKEN and word.isalpha()


# -- queries ----------------------------------------------------------------------------------------------------------


class Rank(IntEnum):
    """How well a product fits a query; of several the best counts. Within a rank the newest product comes first."""

    KEY = 8  # its SKU or barcode is what was asked for
    SKU = 7  # the SKU has all words, or words that begin so
    NAME = 6  # the name has all words
    NAME_BEGINS = 5  # the name has words that begin so
    ABOUT = 4  # SKU, name and category together do
    PART = 3  # the name has them anywhere, also inside words
    ANYWHERE = 2  # the description has the missing ones
    MISTAKE = 1  # nothing does, but would with one mistake in a word


@dataclass(frozen=True, kw_only=True)
class Term:
    text: str
    begins: bool = False  # or any term that begins so


Match = Sequence[Sequence[Term]]  # all of: one of these terms


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search asks for: the terms of each rank, and the parts that a name of ``Rank.PART`` has."""

    terms: Mapping[Rank, Match]
    parts: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.terms or self.parts)

    @property
    def words(self) -> Match:
        """What each word asks at least. A key has them all in one."""
        return self.terms.get(Rank.ANYWHERE) or self.terms.get(Rank.MISTAKE) or ()


def asked(query: str) -> Asked:
    """Without words it asks for the signs."""
    terms = matches(query)
    return Asked(terms=terms, parts=parts(query) or ([] if terms else plain(query).split()))


def matches(query: str) -> dict[Rank, Match]:
    """What each rank asks of a product's terms, the best first. Empty for a query without words."""
    asked = _asked(query)
    if not asked:
        return {}
    return {
        Rank.KEY: [[Term(text=KEY + _joined(query))]],
        Rank.SKU: [_beginning(word, SKU) for word in asked],
        Rank.NAME: [[Term(text=NAME + one) for one in (word, *compound)] for word, compound in asked.items()],
        Rank.NAME_BEGINS: [_either(word, compound, NAME) for word, compound in asked.items()],
        Rank.ABOUT: [_either(word, compound, SKU, NAME, CATEGORY) for word, compound in asked.items()],
        Rank.ANYWHERE: [_either(word, compound, SKU, NAME, CATEGORY, DESCRIPTION) for word, compound in asked.items()],
    }


def _asked(query: str) -> dict[str, list[str]]:
    """The words of the query, each with the compounds that it is a part of: what has one of these has the word."""
    bare = plain(query)
    asked: dict[str, list[str]] = {word: [] for word in list(dict.fromkeys(_words(bare)))[:MOST]}
    for joined, parts in _compounds(bare).items():
        for word in set(parts) & asked.keys():
            asked[word].append(joined)
    return asked


def _either(word: str, compounds: Sequence[str], *places: str) -> list[Term]:
    whole = [Term(text=place + one) for one in compounds for place in places if place in _HAVE_COMPOUNDS]
    return _beginning(word, *places) + whole


def _beginning(word: str, *places: str) -> list[Term]:
    return [Term(text=place + word, begins=True) for place in places]


def of_category(category: str) -> Match:
    """What all products of a category have, however it is spelt. Long ones are compared in part."""
    known = words(category) if len(category) <= COMPARED else []
    return [[Term(text=CATEGORY + word)] for word in dict.fromkeys(known)]


def parts(query: str) -> list[str]:
    """What a name that matches by ``Rank.PART`` contains; empty where a word is too short to be looked up."""
    asked = plain(query).split()
    return asked if all(len(word) >= PART for word in asked) else []


def is_within_word(part: str) -> bool:
    """Whether a name that has this part, which is of letters, has it in one of its words."""
    return len(part) <= LONGEST and part.isalpha() and not _NO_PLAIN_WORD.search(part)


def mistaken(query: str) -> list[str]:
    """The words of the query that may have a mistake."""
    return [word for word in dict.fromkeys(words(query)) if may_be_mistaken(word)][:MOST]


def corrected(query: str, meant: Mapping[str, Sequence[str]]) -> Match:
    """What ``Rank.MISTAKE`` asks: each word, or one of those that may be meant. A word alone has been asked for."""
    asked = _asked(query)
    return [
        [
            *(_either(word, compound, SKU, NAME, CATEGORY, DESCRIPTION) if len(asked) > 1 else ()),
            *(Term(text=place + other) for other in meant.get(word, ()) for place in (NAME, CATEGORY)),
        ]
        for word, compound in asked.items()
    ]


def one_mistake(one: str, other: str) -> bool:
    """Whether one letter too many, missing or wrong, or two neighbours exchanged, make one word of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[1::-1] == b[:2] and a[2:] == b[2:])
    return a[1:] == b or a == b[1:]


def begins_word(text: str) -> Match:
    """What a name asks of which this is the beginning of a word, or a character of a script without spaces; empty where
    it is not one word."""
    asked = list(words(text))
    return [_beginning(asked[0], NAME)] if len(asked) == 1 and asked[0] == text else []
