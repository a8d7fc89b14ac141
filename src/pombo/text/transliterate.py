"""The text mode `ascii`: accents and typographic characters give way to plain ones, so that a text fits GSM.

Accents go from every letter, also from those that GSM has (`é`, `ñ`). Its other characters stay: `€ £ § ß Ø`.
"""

import re
import unicodedata
from functools import lru_cache

from pombo.text import gsm7

_GSM = frozenset(gsm7.BASIC) - {"\x1b"} | frozenset(gsm7.EXTENSION)

# What Unicode's decompositions do not say, or say otherwise than a reader would.
_SPELLINGS = {
    "\n": "\n",
    "\r": "\r",
    "\f": "\f",
    "\t": " ",
    "\v": "\n",
    "\x85": "\n",
    **dict.fromkeys("`´‘’‚‛′ʹʻʼˈ‹›", "'"),
    **dict.fromkeys("¨“”„‟″ʺ«»", '"'),
    **dict.fromkeys("¯−⁃", "-"),
    **dict.fromkeys("•∙", "*"),
    **dict.fromkeys("⁄∕÷", "/"),
    "·": ".",
    "¸": ",",
    "¦": "|",
    "ˆ": "^",
    "˜": "~",
    "×": "x",
    "±": "+-",
    "°": "o",
    "¢": "c",
    "©": "(c)",
    "®": "(R)",
    "œ": "oe",
    "Œ": "OE",
    "ð": "d",
    "Ð": "D",
    "đ": "d",
    "Đ": "D",
    "ł": "l",
    "Ł": "L",
    "ı": "i",
    "þ": "th",
    "Þ": "Th",
    # Asks for the emoji where a character is both (™, ‼, 1 in its key): that one is then no plain text.
    "\ufe0f": "\ufe0f",
}

# Non-ASCII, and the ASCII characters that GSM lacks.
_ODD = re.compile("[^" + re.escape(gsm7.ONE_SEPTET.decode() + gsm7.TWO_SEPTETS.decode()) + "]")


def to_plain(text: str) -> str:
    """The text as the mode `ascii` sends it. What has no plain form stays; such a text does not fit GSM.

    A text of nothing but invisible characters stays, too: an empty message would be no better.
    """
    return _ODD.sub(_plain_match, text) or text


@lru_cache(maxsize=4096)
def plain(char: str) -> str:
    """The plain form of one character: none, one or several of GSM; the character itself where there is none.

    Composed and decomposed texts come out alike: a combining accent alone has the empty form.
    """
    if char in _SPELLINGS:
        return _SPELLINGS[char]
    if char in _GSM and unicodedata.normalize("NFD", char) == char:
        return char
    match unicodedata.category(char):
        case "Mn" | "Cf" | "Cc":  # accents; zero width, direction and soft hyphen; control characters
            return ""
        case "Zl" | "Zp":
            return "\n"
        case "Pd":
            return "-"
    parts = unicodedata.normalize("NFKD", char)
    return char if parts == char else "".join(plain(part) for part in parts)


def _plain_match(match: re.Match[str]) -> str:
    return plain(match[0])
