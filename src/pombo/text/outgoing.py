"""From the text a customer typed to the octets an operator gets.

`prepare` decides, once, when the message is accepted: its parts are what the customer is charged for and what
receipts are counted by. `segments` repeats no decision; it makes exactly the parts that `prepare` counted.
"""

from typing import NamedTuple

from pombo.text import alphabet as alphabets
from pombo.text import gsm7, split, transliterate
from pombo.text import ucs2 as utf16

DEFAULT_CODING = 0x00  # SMPP 3.4 §5.2.19: the SMSC's default alphabet
UCS2_CODING = 0x08
UDH_INDICATOR = 0x40  # esm_class, SMPP 3.4 §5.2.12


class Outgoing(NamedTuple):
    sent: str  # the text that goes out
    ucs2: bool  # goes out as UCS-2, else in the connection's default alphabet
    parts: int  # 1 or more


class Segment(NamedTuple):
    """One part, ready for a submit_sm."""

    data_coding: int
    esm_class: int
    octets: bytes  # short_message, with its header; 159 at the most (UCS-2: 140)


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


def segments(sent: str, ucs2: bool, alphabet: str, reference: int) -> list[Segment]:
    """The parts of a prepared text, as many as `prepare` counted; several carry an 8-bit reference header.

    alphabet: the connection's default one: `gsm`, `latin1` or `ascii`. Whatever it is, a text that is not
    UCS-2 is cut by its GSM septets. Latin-1 and ASCII are only how this operator wants octets written on
    the line; to the handset they go in GSM, so a part holds 153 characters, not the 134 octets of an 8-bit
    message. That also keeps the parts the same on every connection. A character that Latin-1 or ASCII lacks
    (`€`, `ü`) loses its accent or becomes `?`: one character stays one, so no part grows.

    reference: any number; its low 8 bits are used. ValueError for more than 255 parts: no header can say it.
    """
    if ucs2:
        return _with_headers(UCS2_CODING, split.cut_ucs2(utf16.encode(sent)), reference)
    octets = gsm7.encode(sent)
    if octets is None:  # not a prepared text; better a question mark than a message that cannot be sent
        octets = alphabets.encode_lossy(sent, "gsm")
    pieces = split.cut_gsm(octets)
    if alphabet != "gsm":
        pieces = [alphabets.encode_lossy(gsm7.decode(piece), alphabet) for piece in pieces]
    return _with_headers(DEFAULT_CODING, pieces, reference)


def _with_headers(data_coding: int, pieces: list[bytes], reference: int) -> list[Segment]:
    """3GPP TS 23.040 §9.2.3.24.1: 5 octets follow; element 0, 3 octets: reference, parts in all, this one."""
    total = len(pieces)
    if total == 1:
        return [Segment(data_coding, 0, pieces[0])]
    if total > 255:
        raise ValueError(f"{total} parts: a concatenated message has 255 at the most")
    head = bytes((5, 0, 3, reference & 0xFF, total))
    return [
        Segment(data_coding, UDH_INDICATOR, head + bytes((n,)) + piece)
        for n, piece in enumerate(pieces, start=1)
    ]


def _nothing(text: str) -> None:
    return None


def _as_it_is(text: str) -> str:
    return text


_CANDIDATES = {"ascii": transliterate.to_plain, "auto": _as_it_is, "unicode": _nothing}
