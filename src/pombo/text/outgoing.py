"""From the text a customer typed to the octets an operator gets.

`prepare` decides, once, when the message is accepted: its parts are what the customer is charged for and what
receipts are counted by. `segments` repeats no decision; it makes exactly the parts that `prepare` counted.
"""

from struct import Struct
from typing import Final, NamedTuple

from pombo.text import alphabet as alphabets
from pombo.text import gsm7, split, transliterate
from pombo.text import ucs2 as utf16

DEFAULT_CODING = 0x00  # SMPP 3.4 §5.2.19: the SMSC's default alphabet
UCS2_CODING = 0x08
UDH_INDICATOR = 0x40  # esm_class, SMPP 3.4 §5.2.12
# 3GPP TS 23.040 §9.2.3.24: octets that follow; element, its octets: reference, parts in all, this one.
_UDH8: Final = Struct(">6B")  # element 0, §9.2.3.24.1
_UDH16: Final = Struct(">3BH2B")  # element 8, §9.2.3.24.8


class Outgoing(NamedTuple):
    sent: str  # the text that goes out
    ucs2: bool  # goes out as UCS-2, else in the connection's default alphabet
    parts: int  # 1 or more


class Segment(NamedTuple):
    """One part, ready for a submit_sm."""

    data_coding: int
    esm_class: int
    octets: bytes  # short_message, with its header; 160 at the most (UCS-2: 140)


def prepare(text: str, mode: str) -> Outgoing:
    """What is sent of a text, in which alphabet, and in how many parts.

    mode: `ascii` (accents go, and GSM where that fits; else UCS-2 with the text untouched), `auto` (GSM where
    the text fits as it is, else UCS-2) or `unicode` (always UCS-2); KeyError for another one.
    An empty text is one part.
    """
    if mode == "ascii" and text.isascii() and not text.encode().translate(None, gsm7.ONE_SEPTET):
        # Most messages by far: no accent, no extension character, so nothing to do but count.
        length = len(text)
        return Outgoing(text, False, 1 if length <= split.GSM_SINGLE else -(-length // split.GSM_PART))
    candidate = _CANDIDATES[mode](text)
    if candidate is not None:
        parts = split.count_gsm(candidate)
        if parts is not None:
            return Outgoing(candidate, False, parts)
    sent = utf16.without_surrogates(text)
    return Outgoing(sent, True, split.count_ucs2(sent))


def segments(sent: str, ucs2: bool, alphabet: str, reference: int, mode: str = "udh8") -> list[Segment]:
    """The parts of a prepared text, as many as `prepare` counted; several say how they belong together.

    alphabet: the connection's default one: `gsm`, `latin1` or `ascii`. Whatever it is, a text that is not
    UCS-2 is cut by its GSM septets. Latin-1 and ASCII are only how this operator wants octets written on
    the line; to the handset they go in GSM, so a part holds 153 characters, not the 134 octets of an 8-bit
    message. That also keeps the parts the same on every connection. A character that Latin-1 or ASCII lacks
    (`€`, `ü`) loses its accent or becomes `?`: one character stays one, so no part grows.

    mode: how: a header with a reference of 8 bits (`udh8`) or of 16 (`udh16`), or `sar`: none, but optional
    parameters that the caller adds, of which the operator makes the header it likes. Both of the latter may take an
    octet more to the handset, so their parts hold 152 septets or 66 code units. Where a text would then need one part
    more than were counted and charged, its parts go with the 8-bit header, which every handset reads.

    reference: any number; its low bits are used. ValueError for more than 255 parts: no header can say it.
    """
    coding = UCS2_CODING if ucs2 else DEFAULT_CODING
    pieces, room = _cut(sent, ucs2, alphabet, mode)
    total = len(pieces)
    if total == 1:
        return [Segment(coding, 0, pieces[0])]
    if total > 255:
        raise ValueError(f"{total} parts: a concatenated message has 255 at the most")
    if mode != "udh8" and room in (split.GSM_PART - 1, split.UCS2_PART - 1):
        if mode == "sar":
            return [Segment(coding, 0, piece) for piece in pieces]
        return [
            Segment(coding, UDH_INDICATOR, _UDH16.pack(6, 8, 4, reference & 0xFFFF, total, n) + piece)
            for n, piece in enumerate(pieces, start=1)
        ]
    return [
        Segment(coding, UDH_INDICATOR, _UDH8.pack(5, 0, 3, reference & 0xFF, total, n) + piece)
        for n, piece in enumerate(pieces, start=1)
    ]


class Piece(NamedTuple):
    text: str  # as the handset shows it
    units: int  # septets, or code units in UCS-2
    room: int  # for so many of them


def shown(sent: str, ucs2: bool, mode: str) -> list[Piece]:
    """The parts of a prepared text as people read them, cut as `segments` does. mode: as there; `payload` is one piece."""
    if mode == "payload":
        pieces = [whole(sent, ucs2, "gsm").octets]
        room = 0
    else:
        pieces, room = _cut(sent, ucs2, "gsm", mode)
    if len(pieces) == 1:
        room = max(split.UCS2_SINGLE if ucs2 else split.GSM_SINGLE, len(pieces[0]) // (2 if ucs2 else 1))
    read = utf16.decode if ucs2 else gsm7.decode
    return [Piece(read(piece), len(piece) // (2 if ucs2 else 1), room) for piece in pieces]


def _cut(sent: str, ucs2: bool, alphabet: str, mode: str) -> tuple[list[bytes], int]:
    """The pieces, and the room of each where they are several. By the smaller room that a wider header leaves, where that
    makes as many."""
    room = split.UCS2_PART if ucs2 else split.GSM_PART
    pieces = _pieces(sent, ucs2, alphabet, room)
    if mode != "udh8" and len(pieces) > 1:
        smaller = _pieces(sent, ucs2, alphabet, room - 1)
        if len(smaller) == len(pieces):
            return smaller, room - 1
    return pieces, room


def whole(sent: str, ucs2: bool, alphabet: str) -> Segment:
    """A prepared text in one piece, however long, for `message_payload`: the operator cuts it."""
    (piece,) = _pieces(sent, ucs2, alphabet, len(sent) * 2 + 2)
    return Segment(UCS2_CODING if ucs2 else DEFAULT_CODING, 0, piece)


def _pieces(sent: str, ucs2: bool, alphabet: str, part: int) -> list[bytes]:
    """part: room of each of several, in septets or code units."""
    if ucs2:
        return split.cut_ucs2(utf16.encode(sent), max(split.UCS2_SINGLE, part), part)
    octets = gsm7.encode(sent)
    if octets is None:  # not a prepared text; better a question mark than a message that cannot be sent
        octets = alphabets.encode_lossy(sent, "gsm")
    pieces = split.cut_gsm(octets, max(split.GSM_SINGLE, part), part)
    if alphabet != "gsm":
        pieces = [alphabets.encode_lossy(gsm7.decode(piece), alphabet) for piece in pieces]
    return pieces


def _nothing(text: str) -> None:
    return None


def _as_it_is(text: str) -> str:
    return text


_CANDIDATES = {"ascii": transliterate.to_plain, "auto": _as_it_is, "unicode": _nothing}
MODES = frozenset(_CANDIDATES)
