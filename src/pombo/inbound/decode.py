"""Replies: what a deliver_sm carries, without its user data header."""

from collections.abc import Iterator
from typing import NamedTuple

from pombo.text.national import NO_SHIFT, Shift

_UDHI = 0x40  # esm_class bit 6, SMPP 3.4 §5.2.12
_CONCAT_8 = 0x00  # 3GPP 23.040 §9.2.3.24.1
_CONCAT_16 = 0x08  # 3GPP 23.040 §9.2.3.24.8
_SINGLE_SHIFT = 0x24  # 3GPP 23.040 §9.2.3.24.15
_LOCKING_SHIFT = 0x25  # 3GPP 23.040 §9.2.3.24.16
_TOTAL_MAX = 255  # sar_total_segments is of one octet, SMPP 3.4 §5.3.2.23
_REFERENCE_MAX = 65535  # sar_msg_ref_num is of two, SMPP 3.4 §5.3.2.22


class Reply(NamedTuple):
    octets: bytes  # the text, in the alphabet of the PDU's data_coding
    reference: int | None = None  # of a message in parts; None: it stands alone
    total: int = 1
    sequence: int = 1  # 1..total
    shift: Shift = NO_SHIFT  # the national tables that its header names


def decode_reply(
    esm_class: int,
    short_message: bytes,
    message_payload: bytes | None = None,
    sar_reference: int | None = None,
    sar_total: int | None = None,
    sar_sequence: int | None = None,
) -> Reply:
    """Splits off the header and finds the part's place. A header that cannot be is text: nothing is lost.

    sar_*: sar_msg_ref_num, sar_total_segments, sar_segment_seqnum (SMPP 3.4 §5.3.2.22-24); they count where
    the header says nothing about parts. Numbers that cannot be (part 3 of 2, a reference of three octets) are
    left out: the text then stands alone. The header may stand at the beginning of either text.
    """
    octets = _whole(short_message, message_payload or b"")
    place, shift = None, NO_SHIFT
    if esm_class & _UDHI:
        elements = _elements(octets)
        if elements is not None:
            octets = octets[1 + octets[0] :]
            place, shift = _place(elements), _shift(elements)
    if place is None and None not in (sar_reference, sar_total, sar_sequence):
        place = _checked(sar_reference or 0, sar_total or 0, sar_sequence or 0)
    return Reply(octets, *place, shift) if place else Reply(octets, shift=shift)


def storable(text: str) -> str:
    """Without what PostgreSQL refuses: NUL goes, a lone surrogate becomes U+FFFD."""
    text = text.replace("\0", "")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole(short_message: bytes, message_payload: bytes) -> bytes:
    """Only one of them should be there, SMPP 3.4 §4.6.1; some repeat the beginning in short_message, or put the header
    there."""
    if message_payload.startswith(short_message):
        return message_payload
    return short_message + message_payload


def _elements(octets: bytes) -> list[tuple[int, bytes]] | None:
    """(identifier, data) of every information element, 3GPP 23.040 §9.2.3.24; None: this is no header."""
    # A length of 0 is rather the first octet of a UCS-2 text under a wrong esm_class.
    if not octets or not 0 < octets[0] < len(octets):
        return None
    try:
        return list(_walk(octets[1 : 1 + octets[0]]))
    except ValueError:
        return None


def _walk(header: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(header):
        if at + 2 > len(header) or at + 2 + header[at + 1] > len(header):
            raise ValueError("an information element ends after its header")
        yield header[at], header[at + 2 : at + 2 + header[at + 1]]
        at += 2 + header[at + 1]


def _place(elements: list[tuple[int, bytes]]) -> tuple[int, int, int] | None:
    """(reference, total, sequence); of several the last counts, 3GPP 23.040 §9.2.3.24."""
    place = None
    for identifier, data in elements:
        if identifier == _CONCAT_8 and len(data) == 3:
            place = _checked(data[0], data[1], data[2]) or place
        elif identifier == _CONCAT_16 and len(data) == 4:
            place = _checked(int.from_bytes(data[:2], "big"), data[2], data[3]) or place
    return place


def _shift(elements: list[tuple[int, bytes]]) -> Shift:
    languages = {identifier: data[0] for identifier, data in elements if len(data) == 1}
    return Shift(locking=languages.get(_LOCKING_SHIFT, 0), single=languages.get(_SINGLE_SHIFT, 0))


def _checked(reference: int, total: int, sequence: int) -> tuple[int, int, int] | None:
    possible = 1 <= sequence <= total and 1 < total <= _TOTAL_MAX and reference <= _REFERENCE_MAX
    return (reference, total, sequence) if possible else None
