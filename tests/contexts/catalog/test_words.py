"""The rules of searching: what a product's terms are, and what a query asks of them."""

from __future__ import annotations

import pytest

from contexts.catalog import words
from contexts.catalog.words import Rank

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]


def terms(**given: str) -> set[str]:
    empty = {"sku": "", "barcode": "", "name": "", "category": "", "description": ""}
    return set(words.terms(**empty | given).split())


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ångström", "angstrom"),
        ("GRÖSSE größe", "grosse grosse"),
        ("ＡＢＣ ﬁt", "abc fit"),
        ("Łódź Ørsted Æther", "lodz orsted aether"),
        ("İstanbul ısı", "istanbul isi"),
        ("Ёлка", "елка"),
        ("한글", "한글"),
        ("が", "か"),
        ("Levi’s 1/4” 5–10", "levi's 1/4\" 5-10"),
    ],
)
def test_case_accents_and_forms_make_no_difference(text: str, plain: str) -> None:
    assert words.plain(text) == plain
    assert words.plain(plain) == plain


def test_each_term_says_where_its_word_stands() -> None:
    assert terms(sku="AB-100", name="Red Lamp", category="Home", description="A lamp.") == {
        *("kab100", "sab", "s100", "nred", "nlamp", "chome", "da", "dlamp")
    }
    assert terms(barcode="4006381333931") == {"k4006381333931"}


def test_a_compound_is_a_word_too_in_names_and_categories() -> None:
    assert terms(name="Wi-Fi 10-20", category="T-Shirts") == {
        *("nwi", "nfi", "nwifi", "n10", "n20", "ct", "cshirts", "ctshirts")
    }
    assert terms(description="plug-in", sku="A-B") == {"dplug", "din", "kab", "sa", "sb"}
    assert terms(name="手机-壳 -x- a- 'b'") == {"n手机", "n机", "n壳", "nx", "na", "nb"}


def test_scripts_without_spaces_are_cut_into_pairs() -> None:
    assert terms(name="手机壳 X") == {"n手机", "n机壳", "n壳", "nx"}
    assert list(words.words("手机壳")) == ["手机", "机壳"]
    assert list(words.words("हिन्दी")) == ["हिनदी"], "vowel signs belong to the word"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("galaxi", "galaxy"), ("galxy", "galaxy"), ("galaxxy", "galaxy"), ("glaaxy", "galaxy"), ("alaxy", "galaxy")),
        *(("galax", "galaxy"), ("lmap", "lamp"), ("ab", "ba"), ("xamp", "lamp")),
    ],
)
def test_one_mistake(one: str, other: str) -> None:
    assert words.one_mistake(one, other)
    assert words.one_mistake(other, one)


@pytest.mark.parametrize(("one", "other"), [("lamp", "lamp"), ("abcd", "badc"), ("abcd", "xbcx"), ("ab", "abcd")])
def test_no_mistake_or_two(one: str, other: str) -> None:
    assert not words.one_mistake(one, other)


def test_short_words_and_numbers_are_never_taken_for_others() -> None:
    assert words.mistaken("usb 4k s24x lamp") == ["lamp"]
    known = words.vocabulary(name="USB S24x Lamp", category="Home")
    assert set(filter(words.may_be_mistaken, known)) == {"lamp", "home"}


def test_words_of_names_are_known_of_which_a_part_may_be_looked_for() -> None:
    assert words.vocabulary(name="USB S24x-Lamp 1234 手机", category="Home 4you") == {"s24x", "lamp", "home"}
    assert [part for part in ("4x", "ör", "ab-c", "手机", "x" * 61) if words.is_within_word(part)] == ["ör"]


def test_a_query_of_signs_asks_no_rank() -> None:
    assert words.matches("% - _") == {}
    assert list(words.matches("lamp")) == sorted({*Rank} - {Rank.PART, Rank.MISTAKE}, reverse=True)


def test_latin_text_alone_is_read_as_it_is_beside_other_scripts() -> None:
    for text in ("Hoodie - Red, No. 2", "Größe 40° – Café", "AB-100/x_y", "don’t"):
        assert words.words(f"{text} 漢字") == [*words.words(text), "漢字"]
