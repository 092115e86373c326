"""The one intake for text: what people write is brought to one form here, before it is compared or stored.

Every door uses it: the API's fields (``http.fields``), the admin's (``forms``), commands and imports. Each function
returns the form that is stored, is given it back unchanged, and raises ValueError with one sentence for people.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import idna

# Characters (code points), after normalizing and trimming.
NAME = 500
CATEGORY = 255
WAREHOUSE_CODE = 64
WAREHOUSE_NAME = 255
DESCRIPTION = 50_000
SKU = 64
BARCODE = 14
TRACKING_NO = 64
EMAIL = 254
PHONE = 50

_SPACE = (  # Unicode's White_Space
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# What nobody sees, beside the categories below: Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and
# what is drawn as nothing: annotation and object marks, Braille's blank, a notehead, fillers of hieroglyphs and Khitan.
_UNSEEN = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U00013441\U00013442\U00016fe4\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN_CATEGORIES = {"Cf", "Cn", "Co", "Cs"}  # formats, not assigned, private, surrogates
# Unicode's Prepended_Concatenation_Mark (PropList.txt) is of those, and seen; so is what is reserved for emoji and
# ideographs, of which Unicode assigns some every year, and Python learns it later.
_SEEN = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    "\U0001f000-\U0001faff\U00020000-\U0002fffd\U00030000-\U0003fffd]"
)
_NOT_DRAWN = re.compile(f"[{_UNSEEN}]")
_IN_NO_DOMAIN = re.compile(f"(?![\u200c\u200d])[{_UNSEEN}]")  # IDNA says where joiners may stand
_JOINERS = "\u200c\u200d"
_DIRECTIONS = "\u200e\u200f"
_VARIATION = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_FLAG = re.compile("(\U0001f3f4)[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,3}\U000e007f")
_SCRIPTS_WITH_VARIANTS = ("CJK ", "MONGOLIAN ", "PHAGS-PA ", "MYANMAR ", "MANICHAEAN ")
_SCRIPTS_THAT_JOIN = (
    *("ARABIC ", "SYRIAC ", "MANDAIC ", "NKO ", "ADLAM ", "MONGOLIAN ", "DEVANAGARI ", "BENGALI ", "GURMUKHI "),
    *("GUJARATI ", "ORIYA ", "TAMIL ", "TELUGU ", "KANNADA ", "MALAYALAM ", "SINHALA ", "KHMER ", "MYANMAR "),
)
_VIRAMA = 9  # a combining class
_HEH = "\u0647"  # with a joiner it abbreviates the name of a calendar
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def trim(text: str) -> str:
    """The text without Unicode's white space before and after it."""
    return text.strip(_SPACE)


def clean(text: str, *, limit: int, lines: bool = False, blank: bool = True) -> str:
    """Text in Unicode NFC, without outer white space. ``lines`` allows line breaks, which become LF.

    White space alone becomes "", which is refused unless ``blank``. ValueError for control characters, more than
    ``limit`` characters, and text of nothing but invisible characters; in one line also for invisible characters that
    change nothing one sees, for with them it looks like another.
    """
    text = trim(unicodedata.normalize("NFC", text))
    if text and len(text) <= limit and text.isascii() and text.isprintable():  # nothing else has anything to hide
        return text
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (_CONTROL_BUT_LINES if lines else _CONTROL).search(text):
        raise ValueError(f"This must not contain control characters{'' if lines else ' or line breaks'}.")
    if len(text) > limit:
        raise ValueError(f"This must have at most {limit} characters.")
    if text and all(character in _SPACE or unseen(character) for character in text):
        raise ValueError("This must not consist of invisible characters only.")
    if not lines and (hidden := _hidden(text)):
        raise ValueError(f"This must not contain the invisible character U+{ord(hidden):04X}.")
    if not text and not blank:
        raise ValueError("This must not be blank.")
    return text


def unseen(character: str) -> bool:
    """Whether nothing is drawn for the character itself. White space and control characters are another matter."""
    if _NOT_DRAWN.match(character):
        return True
    return unicodedata.category(character) in _UNSEEN_CATEGORIES and not _SEEN.match(character)


def _hidden(text: str) -> str:
    """The first character that hides in the line; "" if there is none. What scripts and emoji need does not hide."""
    if text.isascii():
        return ""
    text = _FLAG.sub(r"\1", text)
    for index, character in enumerate(text):
        if unseen(character) and not _shows(character, text[:index][-1:], text[index + 1 : index + 2]):
            return character
    return ""


def _shows(character: str, before: str, after: str) -> bool:
    """Whether the unseen character changes how those beside it look."""
    if not before:
        return character in _DIRECTIONS and _is_mark(after)
    if character in _JOINERS:
        if character == "\u200d" and (
            before == _HEH or (_is_emoji(after) and (_is_emoji(before) or before == "\ufe0f"))
        ):
            return True
        in_word = _category(before)[0] in "LMN" and _category(after)[0] in "LMN"
        return unicodedata.combining(before) == _VIRAMA or (in_word and (_joins(before) or _joins(after)))
    if character in _DIRECTIONS:
        return _is_mark(before) or _is_mark(after)
    if character == "\u180e":
        return unicodedata.name(before, "").startswith("MONGOLIAN ")
    return bool(_VARIATION.match(character)) and _has_variants(before, after)


def _joins(character: str) -> bool:
    """Whether it is a letter, or a sign at one, of a script whose letters join."""
    return _category(character)[0] in "LM" and unicodedata.name(character, "").startswith(_SCRIPTS_THAT_JOIN)


def _is_emoji(character: str) -> bool:
    return character >= "\u2190" and _category(character) in ("So", "Sm", "Sk", "Cn") and not unseen(character)


def _is_mark(character: str) -> bool:
    """Punctuation and symbols, which go the way of the text around them: a direction mark moves them."""
    return _category(character)[0] in "PS"


def _category(character: str) -> str:
    return unicodedata.category(character) if character else "Cn"


def _has_variants(character: str, after: str) -> bool:
    """Whether a variation selector behind the character shows: emoji, keycaps, and letters of scripts that have it."""
    if character.isascii():
        return character in "#*0123456789" and after == "\u20e3"
    symbol = _category(character)[0] == "S" or _is_emoji(character) or character in "\u203c\u2049\u2139\u3030"
    return (symbol and not unseen(character)) or unicodedata.name(character, "").startswith(_SCRIPTS_WITH_VARIANTS)


def clean_lines(text: str, *, limit: int) -> str:
    """Several lines, such as an address has: each is one line as ``clean`` returns it."""
    return "\n".join(clean(line, limit=limit) for line in clean(text, limit=limit, lines=True).split("\n"))


# -- identifiers ------------------------------------------------------------------------------------------------------


def code(text: str, *, limit: int, name: str) -> str:
    """An identifier of 1 to ``limit`` printable characters. ``name`` begins the sentence of the ValueError."""
    refusal = ValueError(f"{name} has 1 to {limit} printable characters.")
    try:
        text = clean(text, limit=limit)
    except ValueError:
        raise refusal from None
    if not text or not text.isprintable() or _NOT_DRAWN.search(text):
        raise refusal
    return text


def sku(text: str) -> str:
    return code(text, limit=SKU, name="A SKU")


def warehouse_code(text: str) -> str:
    return code(text, limit=WAREHOUSE_CODE, name="A warehouse code")


def barcode(text: str) -> str:
    """The digits of an EAN, UPC or GTIN, leading zeros included. Check digits are not checked: shops print some too."""
    text = trim(text)
    if not re.fullmatch(f"[0-9]{{8,{BARCODE}}}", text):
        raise ValueError(f"A barcode has 8 to {BARCODE} digits.")
    return text


def tracking_no(text: str) -> str:
    number = code(text, limit=TRACKING_NO, name="A tracking number")
    if "/" in number:
        raise ValueError("A tracking number has no '/'.")
    return number


# -- e-mail addresses -------------------------------------------------------------------------------------------------

_LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NO_EMAIL = "This is not a valid e-mail address."


def email(text: str) -> str:
    """The address as it is stored and mailed to: the ASCII local part as written, the domain as IDNA 2008 has it.

    The domain's characters are mapped as UTS 46 says (full width, upper case, other dots), and become A-labels in
    lower case. ValueError for quoted local parts, domains without a dot, addresses of more than 254 characters, and
    invisible characters, which that mapping would drop.
    """
    local, _, domain = trim(text).rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or len(domain) > EMAIL:
        raise ValueError(_NO_EMAIL)
    labels = _labels(domain, std3_rules=True)
    _, dot, top = labels.rpartition(".")
    address = f"{local}@{labels}"
    if not dot or len(top) < 2 or top.isdecimal() or len(address) > EMAIL:
        raise ValueError(_NO_EMAIL)
    return address


def earlier_email(text: str) -> str:
    """An address that was kept before there was this rule, as mail may go to it: what comes before the @ as it is, the
    domain by IDNA 2008, so that it is nobody else's. ValueError when it can be no address at all."""
    text = trim(text)
    local, _, domain = text.rpartition("@")
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    if not local or not domain or not text.isprintable() or " " in (domain if quoted else text):
        raise ValueError(_NO_EMAIL)
    if domain.isascii():
        return text
    return f"{local}@{_labels(domain, std3_rules=False)}"


@functools.lru_cache(1_000)  # most people's mail is at few
def _labels(domain: str, *, std3_rules: bool) -> str:
    if _IN_NO_DOMAIN.search(domain):
        raise ValueError(_NO_EMAIL)
    try:
        return idna.encode(
            unicodedata.normalize("NFC", domain), strict=True, uts46=True, std3_rules=std3_rules
        ).decode()
    except (idna.IDNAError, UnicodeError):
        raise ValueError(_NO_EMAIL) from None


def email_key(text: str) -> str:
    """The form in which addresses are compared: one mailbox, one key. ValueError when it is no address."""
    return email(text).lower()


def email_sought(text: str) -> str:
    """The address as it would be stored, for who looks for it in another spelling; a text that is none, as it is."""
    try:
        return email(text)
    except ValueError:
        return text


# -- phone numbers ----------------------------------------------------------------------------------------------------

PHONE_RULE = "A phone number has 5 to 20 digits, spaces, and + . - / ( ), and may end with an extension such as ext 12."
_PHONE = re.compile(r"([0-9 +./()-]+?)(?: ?(?:ext\.?|extension|x) ?[0-9]{1,6})?", re.IGNORECASE)


def phone(text: str) -> str:
    """The number as it was typed. ValueError when it breaks ``PHONE_RULE``; the extension's digits count too."""
    text = trim(text)
    found = _PHONE.fullmatch(text) if len(text) <= PHONE else None
    if not found or _digits(found[1]) < 5 or _digits(text) > 20:
        raise ValueError(PHONE_RULE)
    return text


def _digits(text: str) -> int:
    return sum(character.isdecimal() for character in text)


# -- comparing --------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """The form in which words are searched: NFC, without case. Done here because SQLite folds only ASCII letters."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
