"""One intake for text: many forms of the same text become one, and what is no text is refused, at every door alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core.exceptions import ValidationError as FormError
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.serializers import ValidationError

from eci import forms, text
from eci.http import fields

pytestmark = [pytest.mark.no_database, pytest.mark.any_engine]

NFD = unicodedata.normalize("NFD", "Müller Straße")
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xD800, 0xDFFF)]
INVISIBLE = ["\u200b", "\ufeff", "\xad", "\u2060\u200d", "\u3164", "\u2800", "\u115f \u1160", "\ufe0f", "\U000e0041"]


def clean(given: str) -> str:
    return text.clean(given, limit=20)


def clean_lines(given: str) -> str:
    return text.clean(given, limit=20, lines=True)


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        (NFD, "Müller Straße"),
        ("\u212b", "Å"),
        (f"{SPACES}a  b{SPACES}", "a  b"),
        (SPACES, ""),
        ("", ""),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("a\u3000b", "a\u3000b"),
        ("x" * 20 + " ", "x" * 20),
        (unicodedata.normalize("NFD", "é" * 20), "é" * 20),
    ],
)
def test_many_forms_are_one(given_text: str, stored: str) -> None:
    assert clean(given_text) == clean_lines(given_text) == stored


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
def test_control_characters_are_refused(control: str) -> None:
    with pytest.raises(ValueError, match="control characters or line breaks"):
        clean(f"a{control}b")
    if control in "\r\n":
        assert clean_lines(f"a{control}b") == clean_lines("a\r\nb") == "a\nb"
    else:
        with pytest.raises(ValueError, match="control characters"):
            clean_lines(f"a{control}b")


@pytest.mark.parametrize("invisible", INVISIBLE, ids=ascii)
def test_text_of_nothing_but_invisible_characters_is_refused(invisible: str) -> None:
    assert clean_lines(f"a{invisible}b") == f"a{invisible}b"
    with pytest.raises(ValueError, match="invisible"):
        clean(f" {invisible} ")


HIDDEN = [
    *"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2800\u3164\ufeff\uffa0\ufff9\ufffc",
    *map(chr, (*range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x0378, 0xFDD0, 0xFFF0)),
    *"\ue000\U00013430\U00016fe4\U0001bca0\U0001d159\U0001d173\U000e0001\U000e01f0\U000f0000\U0010ffff",
]


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_one_line_hides_nothing(hidden: str) -> None:
    for spoof in (f"Ann{hidden}Lee", f"{hidden}Ann", f"Ann{hidden}", f"4{hidden}1", f"{hidden}txt.exe\u202c"):
        with pytest.raises(ValueError, match=rf"U\+{ord(hidden):04X}"):
            clean(spoof)
        with pytest.raises(ValueError, match=rf"U\+{ord(hidden):04X}"):
            text.clean_lines(f"1 Main St\n{spoof}", limit=40)
        assert clean_lines(spoof) == spoof


@pytest.mark.parametrize(
    "spoof",
    [
        "Ann\ufe0f",
        "V\ufe0f1",
        "a\U000e0041b",
        "1\ufe0f2",
        "é\ufe00",
        "א\ufe0f",
        "Ann \ufe0fLee",
        "❤\ufe0f\ufe0f",
        "葛\U000e0041",
    ]
    + [
        "🏴\U000e0067\U000e0062",
        "a\U000e0100",
        "-\ufe0f",
        "🏴" + "".join(chr(0xE0034) for _ in range(16)) + "\U000e007f",
    ]
    + ["می\u200c", "می\u200c\u200cخواهم", "❤\u200d", "+\u200d+", "!\u200f\u200fא", "A\u180e", "דו\u200fד"],
    ids=ascii,
)
def test_a_selector_tag_joiner_or_mark_that_changes_nothing_is_refused(spoof: str) -> None:
    with pytest.raises(ValueError, match=r"invisible character U\+"):
        text.clean(spoof, limit=40)


@pytest.mark.parametrize(
    "unseen", ["\ufe0f", "\u034f", "\u180b", "\u3164", "\u2800", "\U000e0100", "\U000e0041", "\xad"], ids=ascii
)
def test_a_code_and_a_domain_hide_nothing(unseen: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        text.sku(f"❤{unseen}V")
    for domain in (f"a{unseen}b.de", f"{unseen}ab.de", f"ab.de{unseen}", f"例{unseen}え.jp"):
        for rule in (text.email, text.earlier_email):
            with pytest.raises(ValueError, match="not a valid e-mail address"):
                rule(f"x@{domain}")
    with pytest.raises(ValueError, match="not a valid e-mail address"):
        text.email(f"x{unseen}@ab.de")


@pytest.mark.parametrize(
    "word",
    [
        "می\u200cخواهم", "क्\u200dष", "ശ്രീ", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "דוד בן-גוריון", "محمد علي", "Lee דוד 12",
        "1\ufe0f\u20e3 #\ufe0f\u20e3", "葛\U000e0100城市", "\u2139\ufe0f", "👍🏽 ☎\ufe0e", "ᠠ\u180bᠨ",
        "שלום\u200f!", "(\u200e+972)", "CD\u200cها", "۱۳۹۰ ه\u200d.ش", "ᠮᠣᠩᠭᠣᠯ\u180e", "Ｔｏｋｙｏ　東京",
        "Nguyễn Văn An", "അവന്\u200d", "র\u200d্য", "👩🏽\u200d⚕\ufe0f 🙂\u200d↔\ufe0f", "\U0001fae8 \U0001f6d8",
        "\U00031350", "\u06dd",
    ],
)  # fmt: skip
def test_what_scripts_and_emoji_need_passes(word: str) -> None:
    assert text.clean(word, limit=40) == text.clean_lines(word, limit=40) == unicodedata.normalize("NFC", word)


def test_each_line_of_an_address_is_a_line() -> None:
    assert text.clean_lines(" Ann Lee \r\n 1 Main St \n\n Oz ", limit=40) == "Ann Lee\n1 Main St\n\nOz"
    with pytest.raises(ValueError, match="at most 5"):
        text.clean_lines("a\nb\nc\nd", limit=5)


def test_blank() -> None:
    with pytest.raises(ValueError, match="blank"):
        text.clean(SPACES, limit=20, blank=False)


def test_too_long() -> None:
    with pytest.raises(ValueError, match="at most 20 characters"):
        clean("x" * 21)


EMAILS = {
    "x@straße.de": "x@xn--strae-oqa.de",
    "x@strasse.de": "x@strasse.de",
    "a@exämple.de": "a@xn--exmple-cua.de",
    unicodedata.normalize("NFD", "a@exämple.de"): "a@xn--exmple-cua.de",
    "a@EXÄMPLE.de": "a@xn--exmple-cua.de",
    "a@XN--EXMPLE-CUA.de": "a@xn--exmple-cua.de",
    "a@ｅｘａｍｐｌｅ.com": "a@example.com",
    "a@例え。jp": "a@xn--r8jz45g.jp",
    " Ann.O'Neil+x@EXAMPLE.com\n": "Ann.O'Neil+x@example.com",
}


@pytest.mark.parametrize("given_text", EMAILS, ids=ascii)
def test_an_address_has_one_form(given_text: str) -> None:
    assert text.email(given_text) == EMAILS[given_text]
    assert text.email_key(given_text) == EMAILS[given_text].lower()


@pytest.mark.parametrize(
    "given_text",
    ["kırk@example.com", "ſam@example.com", "\u212aim@example.com", "ａnn@example.com", '"<script>"@example.com']
    + ['"a b"@example.com', "a b@example.com", "a..b@example.com", ".a@example.com", "@example.com", "a@", "a", ""]
    + ["a@localhost", "a@127.0.0.1", "a@[127.0.0.1]", "a@b_c.com", "a@-b.com", "a@b-.com", "a@b.com.", "a@b..com"]
    + ["a＠example.com", "a@xn--a.com", "a@b.c", "x" * 65 + "@example.com", "a@" + "b" * 64 + ".com", "a@b\n.com"]
    + ["a@example.com\nBcc: b@example.com", "a@exa\x00mple.com", "a@" + ("b" * 60 + ".") * 4 + "example.com"]
    + ["a@" + "ä" * 70 + ".de", "a@" + "b." * 5000 + "com", "a@\ud800.com", "a@b.com, c@d.com", "a@b@c.com"],
    ids=ascii,
)
def test_what_is_no_address(given_text: str) -> None:
    for rule in (text.email, text.email_key):
        with pytest.raises(ValueError, match="not a valid e-mail address"):
            rule(given_text)


@pytest.mark.parametrize(
    "given_text",
    [
        "12345",
        "+49 (0)30/123-45.6",
        "(030) 12345",
        "0049 30 12345",
        "555-0100 ext 12",
        "555-0100 EXT. 12",
        "555 0100x12",
    ]
    + ["030 12345 extension 7", "1" * 20, "030/12345-67", "1.800.555.0100"],
)
def test_phones_as_people_write_them(given_text: str) -> None:
    assert text.phone(f" {given_text}\n") == given_text


@pytest.mark.parametrize(
    "given_text",
    [
        "",
        "+",
        "1234",
        "1" * 21,
        "12345\n678",
        "１２３４５",
        "call me",
        "12345;",
        "12345 ext",
        "ext 12345",
        "12345 ext 1 ext 2",
    ]
    + ["1 " * 40, "123456789012345 ext 123456"],
)
def test_what_is_no_phone(given_text: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        text.phone(given_text)


@pytest.mark.parametrize(("given_text", "stored"), [(" AB-1 ", "AB-1"), ("Größe 1", "Größe 1"), ("é", "é")])
def test_skus(given_text: str, stored: str) -> None:
    assert text.sku(given_text) == text.sku(unicodedata.normalize("NFD", given_text)) == stored


@pytest.mark.parametrize("given_text", ["", "  ", "x" * 65, "a\nb", "a\u200bb", "a\xa0b", "\u3164"], ids=ascii)
def test_what_is_no_sku(given_text: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 printable"):
        text.sku(given_text)


RULES: list[Callable[[str], str]] = [clean, clean_lines, text.email, text.email_key, text.phone, text.sku]


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=200)
@given(st.text(st.characters()) | st.text("a@.ä-１1ß。 \u0308\u200d").map(lambda domain: f"a@{domain}"))
def test_what_is_stored_is_stored_again(rule: Callable[[str], str], given_text: str) -> None:
    with suppress(ValueError):
        stored = rule(given_text)
        assert rule(stored) == stored


DOORS = [
    (fields.TextField(max_length=20, allow_blank=True), forms.TextField(max_length=20, required=False), clean),
    (
        fields.TextField(max_length=20, lines=True, allow_blank=True),
        forms.TextField(max_length=20, lines=True, required=False),
        clean_lines,
    ),
    (fields.EmailField(), forms.EmailField(), text.email),
    (fields.PhoneField(), forms.PhoneField(required=False), text.phone),
    (fields.SkuField(), forms.SkuField(), text.sku),
    (fields.WarehouseCodeField(), forms.WarehouseCodeField(), text.warehouse_code),
]
TEXTS = [NFD, SPACES, "a\nb", " a ", "x" * 21, "x" * 65, *CONTROLS, *INVISIBLE, *EMAILS, "kırk@example.com", "12345 x6"]


@pytest.mark.parametrize(("field", "form_field", "rule"), DOORS)
def test_api_and_forms_answer_alike(field: fields.TextField, form_field: forms.TextField, rule: Callable) -> None:
    for given_text in TEXTS:
        answers = []
        for take, refusal in ((field.run_validation, ValidationError), (form_field.clean, FormError)):
            try:
                answers.append(take(given_text))
            except refusal:
                answers.append(None)
        assert answers[0] == answers[1], ascii(given_text)
        if text.trim(given_text):
            try:
                assert answers[0] == rule(given_text)
            except ValueError:
                assert answers[0] is None


def test_a_secret_is_taken_as_it_is() -> None:
    assert fields.TextField(trim_whitespace=False).run_validation(f" {NFD} ") == f" {NFD} "
