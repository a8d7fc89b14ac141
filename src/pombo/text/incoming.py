"""From the octets of a reply to its text."""

from collections.abc import Callable

from pombo.text import alphabet as alphabets
from pombo.text import ucs2


def decode(octets: bytes, data_coding: int, alphabet: str) -> str:
    """The text of a short message without its header; takes whatever comes, and never raises.

    data_coding: SMPP 3.4 §5.2.19 for 0 to 15, above that the groups of 3GPP TS 23.038 §4. alphabet: the
    connection's default one (`gsm`, `latin1` or `ascii`), where data_coding names the default alphabet.
    What is no text, or in an alphabet that phones here do not write, shows as Latin-1. U+0000, which
    PostgreSQL cannot store, is dropped.

    Join the octets of a long reply first: phones do cut pairs in half between two parts.
    """
    text = _CODINGS.get(data_coding, _group)(octets, data_coding, alphabet)
    return text.replace("\x00", "")


def _default(octets: bytes, data_coding: int, alphabet: str) -> str:
    return alphabets.decode(octets, alphabet)


def _ucs2(octets: bytes, data_coding: int, alphabet: str) -> str:
    return ucs2.decode(octets)


def _codec(name: str) -> Callable[[bytes, int, str], str]:
    return lambda octets, data_coding, alphabet: octets.decode(name, "replace")


_latin1 = _codec("latin-1")


def _group(octets: bytes, data_coding: int, alphabet: str) -> str:
    """3GPP TS 23.038 §4. Reserved codings are the default alphabet there; compressed text stays as it is."""
    group = data_coding >> 4
    if group < 0x8:  # general, and marked for deletion: bit 5 compressed, bits 3 and 2 the alphabet
        bits = 1 if data_coding & 0x20 else data_coding >> 2 & 3
    elif group == 0xE:  # message waiting, in UCS-2
        bits = 2
    elif group == 0xF:  # message class: bit 2
        bits = data_coding >> 2 & 1
    else:
        bits = 0
    return (_default, _latin1, _ucs2, _default)[bits](octets, data_coding, alphabet)


_CODINGS: dict[int, Callable[[bytes, int, str], str]] = dict.fromkeys(range(16), _latin1) | {
    0: _default,
    6: _codec("iso8859-5"),
    7: _codec("iso8859-8"),
    8: _ucs2,
}
