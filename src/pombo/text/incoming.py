"""From the octets of a reply to its text."""

from collections.abc import Callable

from pombo.text import alphabet as alphabets
from pombo.text import ucs2
from pombo.text.national import NO_SHIFT, Shift


def decode(octets: bytes, data_coding: int, alphabet: str, shift: Shift = NO_SHIFT) -> str:
    """The text of a short message without its header; takes whatever comes, and never raises.

    data_coding: SMPP 3.4 §5.2.19 for 0 to 15, above that the groups of 3GPP TS 23.038 §4. alphabet: the
    connection's default one (`gsm`, `latin1` or `ascii`), where data_coding names the default alphabet. shift: the
    national tables that the header names.
    What is no text (8-bit data, compressed), or is not what its data_coding says, shows as Latin-1: no octet gets lost.
    U+0000, which PostgreSQL cannot store, is dropped.

    Join the octets of a long reply first: phones do cut pairs in half between two parts.
    """
    coding = _coding(data_coding)
    text = alphabets.decode(octets, alphabet, shift) if coding is None else coding(octets)
    return text.replace("\x00", "")


def is_ucs2(data_coding: int) -> bool:
    return _coding(data_coding) is ucs2.decode


_Coding = Callable[[bytes], str]


def _latin1(octets: bytes) -> str:
    return octets.decode("latin-1")


def _codec(name: str) -> _Coding:
    return lambda octets: octets.decode(name, "replace")


def _first_of(*names: str) -> _Coding:
    """Codecs of several octets a character know what cannot be: then the next may be meant."""

    def decode(octets: bytes) -> str:
        for name in names:
            try:
                return octets.decode(name)
            except UnicodeDecodeError:
                continue
        return _latin1(octets)

    return decode


# SMPP 3.4 §5.2.19. 9, 11, 12 and 15 are reserved there.
_CODINGS: dict[int, _Coding | None] = dict.fromkeys(range(16), _latin1) | {
    0: None,  # the connection's default alphabet
    5: _first_of("iso2022_jp", "shift_jis"),
    6: _codec("iso8859-5"),
    7: _codec("iso8859-8"),
    8: ucs2.decode,
    10: _first_of("iso2022_jp", "shift_jis"),
    13: _first_of("iso2022_jp_1", "euc_jp"),  # those with JIS X 0212
    14: _first_of("euc_kr", "cp949"),  # KS C 5601
}


def _coding(data_coding: int) -> _Coding | None:
    """How to read it; None: in the default alphabet of the connection."""
    return _CODINGS[data_coding] if data_coding in _CODINGS else _group(data_coding)


def _group(data_coding: int) -> _Coding | None:
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
    return (None, _latin1, ucs2.decode, None)[bits]
