"""The default alphabet of an operator connection, by its name: `gsm`, `latin1` or `ascii`."""

from pombo.text import gsm7, national, transliterate
from pombo.text.national import NO_SHIFT, Shift

_CODECS = {"latin1": "latin-1", "ascii": "ascii"}


def encode(text: str, alphabet: str) -> bytes | None:
    """The octets of a text; None when the alphabet lacks a character of it. KeyError for another alphabet."""
    if alphabet == "gsm":
        return gsm7.encode(text)
    try:
        return text.encode(_CODECS[alphabet])
    except UnicodeEncodeError:
        return None


def encode_lossy(text: str, alphabet: str) -> bytes:
    """The octets of a text, whatever is in it: what the alphabet lacks goes without its accent, else as `?`.

    Each character stays one character, so that a part never grows.
    """
    octets = encode(text, alphabet)
    if octets is None:
        octets = b"".join(_encode_char(char, alphabet) for char in text)
    return octets


def decode(octets: bytes, alphabet: str, shift: Shift = NO_SHIFT) -> str:
    """The text of octets in a connection's default alphabet; never raises.

    Octets that ASCII does not have are read as Latin-1, for which operators use them. shift: where a header names
    tables of the GSM alphabet; an operator that has turned the text into another one has undone them.
    """
    if alphabet != "gsm":
        return octets.decode("latin-1")
    return gsm7.decode(octets) if shift == NO_SHIFT else national.decode(octets, shift)


def _encode_char(char: str, alphabet: str) -> bytes:
    octets = encode(char, alphabet)
    if octets is None:
        plain = transliterate.plain(char)
        octets = encode(plain, alphabet) if len(plain) == 1 else None
    return b"?" if octets is None else octets
