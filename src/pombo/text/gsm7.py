"""GSM 7 bit default alphabet and its extension table, unpacked: one septet per octet (3GPP TS 23.038 §6.2.1).

A text that needs a national language table (`ã õ ç` …) does not fit, and says so with None; national.py reads them.
"""

import codecs
import re

ESCAPE = 0x1B

# The character of each septet, 0x00 to 0x7F. 0x1B is the escape, no character of a text.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)

# The extension table: each character and the basic one whose septet follows the escape (§6.2.1.1).
EXTENSION = {
    "\f": "\n",
    "^": "Λ",
    "{": "(",
    "}": ")",
    "\\": "/",
    "[": "<",
    "~": "=",
    "]": ">",
    "|": "¡",
    "€": "e",
}

# ASCII characters that take one septet. What `octets.translate(None, ONE_SEPTET)` leaves is the rest.
ONE_SEPTET = bytes(ord(char) for char in BASIC if char.isascii() and char != "\x1b")
TWO_SEPTETS = bytes(ord(char) for char in EXTENSION if char.isascii())

_ASCII_TO_SEPTETS = bytes.maketrans(b"@$_", b"\x00\x02\x11")
_CHARMAP = codecs.charmap_build(BASIC)
_EXTENDED = re.compile("[" + re.escape("".join(EXTENSION)) + "]")
_ESCAPED = {char: "\x1b" + basic for char, basic in EXTENSION.items()}

# Octets over 0x7F are no septets: an operator that sends them means Latin-1, whatever its settings say.
# 0x80 to 0x9F would be control characters.
DECODING = BASIC + "\ufffd" * 32 + bytes(range(0xA0, 0x100)).decode("latin-1")
_ESCAPES = re.compile("\x1b(.?)", re.DOTALL)
# §6.2.1: an escape that is not understood, and the one reserved for a further table, is shown as a space.
_UNESCAPED = {basic: char for char, basic in EXTENSION.items()} | {"": " ", "\x1b": " "}


def encode(text: str) -> bytes | None:
    """The septets of a text, one per octet; None when the alphabet lacks a character of it."""
    if text.isascii():
        octets = text.encode()
        if not octets.translate(None, ONE_SEPTET):
            return octets.translate(_ASCII_TO_SEPTETS)
    if "\x1b" in text:
        return None
    try:
        return codecs.charmap_encode(_EXTENDED.sub(_escape, text), "strict", _CHARMAP)[0]
    except UnicodeEncodeError:
        return None


def septets(text: str) -> int | None:
    """How many septets a text takes; None when the alphabet lacks a character of it."""
    if text.isascii():
        rest = text.encode().translate(None, ONE_SEPTET)
        return None if rest.translate(None, TWO_SEPTETS) else len(text) + len(rest)
    octets = encode(text)
    return None if octets is None else len(octets)


def decode(octets: bytes) -> str:
    """The text of unpacked septets; takes whatever comes, and never raises.

    An escape before a septet that the extension table lacks shows the basic character (§6.2.1.1). Octets over
    0x7F are read as Latin-1, or as U+FFFD where that has no character.
    """
    text = codecs.charmap_decode(octets, "strict", DECODING)[0]
    return _ESCAPES.sub(_unescape, text) if "\x1b" in text else text


def _escape(match: re.Match[str]) -> str:
    return _ESCAPED[match[0]]


def _unescape(match: re.Match[str]) -> str:
    return _UNESCAPED.get(match[1], match[1])
