"""Whether a text that was read as Windows-1252 is one in a western language, or may be something else.

In other encodings the same bytes are other letters: ``Чай`` in cp1251 reads ``×àé``, ``Čaj`` in cp1250 ``Èaj``, and
``Äpfel`` in cp850 ``Žpfel``. Each rule is something that such readings have, and western languages do not write. Who
writes it nevertheless is asked once.
"""

from __future__ import annotations

import re

_SMALL = "a-zß-ÿšžœ"
_LETTER = f"A-ZÀ-ÞŠŽŒŸ{_SMALL}"
_VOWEL = "aeiouyàáâãäåèéêëìíîïòóôõöùúûüæø"
_CONSONANT = "bcdfghjklmnpqrstvwxz"
_BEGINS = f"(?<![{_LETTER}0-9)\\].])"
_SIGNS_AND_CASE = (
    # letters of other alphabets
    "[^\x00-\x7fßà-ïñ-öø-üÿÀ-ÏÑ-ÖØ-ÜšžœŠŽŒŸ€£¥¢§°©®™–—„“”‚‘’«»…•·´±×½¼¾²³µªº¿¡\xa0]",
    # signs between letters, or before or behind them on the wrong side
    f"[{_LETTER}][‚„¿¡§]",
    f"[{_LETTER}][£¥¢°©®™”“‘«»…•´±×½¼¾²³µªº][{_LETTER}]",
    f"[{_LETTER}][–—][{_SMALL}]",
    f"{_BEGINS}[–—™®©…][{_SMALL}]",
    f"(?<!\\d)[½¼¾²³ªº×][{_LETTER}]",
    f"[€£¥¢][{_SMALL}]{{2}}|§[{_LETTER}]",
    f"{_BEGINS}°(?![CFK])[{_LETTER}]",
    f"µ[{_LETTER}]{{3}}",
    f"{_BEGINS}”[{_LETTER}](?![^”\n]*”)",
    "[«¥¢§£©±•][«¥¢§£©±¡¿]|[—–•]\\s?[©¥¢§±¡]",
    f"{_BEGINS}[^\x00-\x7fÀàÉéÔô]\xa0[{_SMALL}]",
    # capitals within words, and a small letter among capitals
    f"[{_SMALL}][À-ÞŠŽŒŸ]",
    f"[{_LETTER}][ŠŽŒŸ][{_SMALL}]",
    "[A-Z][šžœ][A-Z]",
)
# Letters that stand in few places of a word, all written small.
_PLACES = (
    f"[âêîôûãçèùìòñœ][{_SMALL}]*[kw]|[kw][{_SMALL}]*[âêîôûãçèùìòñœ]",
    f"è[{_VOWEL}]|[aáàâeéíýè]è",
    f"[àìù](?=[{_SMALL}])",
    f"ò[{_VOWEL}]",
    "(?<![aeouéó])ï",
    "ñ(?![aeiouáéíóú])",
    "œ(?![uistdnlmc])",
    f"[{_VOWEL}]æ|æ[aiouáíó]|\\bæe",
    f"õ\\b|õ[oy]|õ[{_SMALL}]*ö|ö[{_SMALL}]*õ",
    "ã(?![oseinã]|\\b)",
    "ç(?![aouáãàâêéíóòôõúûüö]|\\b)|(?<![aeiou])ç\\b",
    f"(?<![aeiouéo])ë(?=[{_SMALL}])",
    f"\\bž(?![{_VOWEL}])|\\bš(?![{_VOWEL}]|ko)|[{_CONSONANT}][šž][{_CONSONANT}]",
    "[aá]á|úú|íí|[fln]uá|[lr]oá\\b|eiá",
    "\\w{3}û\\b",
    "ø[íéáúì]|øe(?![nrs]|\\b)",
)
_ODD = re.compile("|".join(_SIGNS_AND_CASE))
_MISPLACED = re.compile("|".join(_PLACES))
_WORD = re.compile("[^\\W\\d_]+")


def is_western(text: str) -> bool:
    """Words of one letter aside (``à``), each has one of the English alphabet too."""
    if _ODD.search(text) or _MISPLACED.search(text.lower()):
        return False
    words = (word for word in _WORD.findall(text) if not word.isascii())
    return all(len(word) == 1 or any(letter.isascii() for letter in word) for word in words)
