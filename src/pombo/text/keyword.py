"""The word that a reply begins with, as it is compared: without case, accents and punctuation."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_LOOKED_AT = 200  # characters; who writes so many blanks first has no keyword


def first_word(text: str) -> str:
    """`promo` of `  PROMÓ! quero`; '' where there is no word."""
    found = _WORD.search(folded(text[:_LOOKED_AT]))
    return found[0] if found else ""


def only_word(text: str) -> str:
    """`sair` of ` "Sair!" `; '' where there is no word, or more than one."""
    words = _WORD.findall(folded(text[:_LOOKED_AT])) if len(text) <= _LOOKED_AT else []
    return words[0] if len(words) == 1 else ""


def folded(text: str) -> str:
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in parts if not unicodedata.combining(char))
    return text.casefold()
