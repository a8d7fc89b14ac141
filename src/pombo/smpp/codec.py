"""Octets to bodies and back, driven by the annotations in `pdu.py`.

    octets = encode(SubmitSm(source_addr=b"27300", destination_addr=b"5511900000000"), sequence_number=7)
    decode(octets).body.destination_addr

A body that cannot be read is a value, `Malformed`, never an exception.
"""

from struct import Struct as Pack
from typing import Final

import msgspec

from pombo.smpp.fields import BrokenBody, EncodeError, Tlvs, UnterminatedText
from pombo.smpp.framing import MOST_OCTETS_BOUND
from pombo.smpp.layout import HEADER_OCTETS, Layout
from pombo.smpp.pdu import BODIES, Body, Response
from pombo.smpp.status import Status

HEADER: Final = Pack(">IIII")  # command_length, command_id, command_status, sequence_number: SMPP 3.4 §3.2
_TAG_AND_LENGTH: Final = Pack(">HH")  # §5.3.1


class Malformed(msgspec.Struct, gc=False):
    """A body that could not be read, and the command_status to answer it with."""

    status: Status
    reason: str


class Pdu(msgspec.Struct, gc=False):
    command_id: int
    status: int
    sequence_number: int
    body: Body | Malformed


def parse_tlvs(pdu: bytes, at: int, whole: bool = True) -> Tlvs:
    """The optional parameters from octet `at` to the end (SMPP 3.4 §5.3.1).

    whole: raise BrokenBody when the last one is cut short; otherwise it is left out.
    """
    tlvs = {}
    end = len(pdu)
    while at < end:
        if at + 4 > end:
            if not whole:
                break
            raise BrokenBody(Status.ESME_RINVOPTPARSTREAM, f"{end - at} octets are no optional parameter")
        tag, length = _TAG_AND_LENGTH.unpack_from(pdu, at)
        at += 4 + length
        if at > end:
            if not whole:
                break
            raise BrokenBody(Status.ESME_RINVOPTPARSTREAM, f"TLV 0x{tag:04X} runs past the end of the PDU")
        tlvs[tag] = pdu[at - length : at]
    return tlvs


def _build_tlvs(tlvs: Tlvs) -> bytes:
    built = []
    for tag, value in tlvs.items():
        if not isinstance(value, bytes) or not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise EncodeError(f"TLV {tag}: a tag is 0 to 65535 and carries at most 65535 octets (bytes)")
        built += [_TAG_AND_LENGTH.pack(tag, len(value)), value]
    return b"".join(built)


# A body without parameters has no layout: what a peer adds to it (a stray octet after unbind) is passed over.
# Every body that has one has `tlvs` too.
_LAYOUTS: Final[dict[int, Layout]] = {
    command_id: Layout(cls) for command_id, cls in BODIES.items() if cls.__struct_fields__
}


def encode(body: Body, sequence_number: int, status: int = 0) -> bytes:
    """One whole PDU. Raises EncodeError (a ValueError) where a field cannot carry its value.

    A refusal with nothing in it goes without a body where the standard says so (SMPP 3.4 §4.1.2, §4.4.2).
    """
    layout = _LAYOUTS.get(body.command_id)
    if layout is None:
        return HEADER.pack(HEADER_OCTETS, body.command_id, status, sequence_number)
    if status and isinstance(body, Response) and body.bodyless_when_refused and body == layout.cls():
        return HEADER.pack(HEADER_OCTETS, body.command_id, status, sequence_number)
    octets = layout.build(body)
    tlvs: Tlvs = body.tlvs  # type: ignore[attr-defined]
    if tlvs:
        octets += _build_tlvs(tlvs)
        if len(octets) > MOST_OCTETS_BOUND - HEADER_OCTETS:
            raise EncodeError(f"a PDU has at most {MOST_OCTETS_BOUND} octets, with these TLVs it has more")
    return HEADER.pack(HEADER_OCTETS + len(octets), body.command_id, status, sequence_number) + octets


def decode(pdu: bytes) -> Pdu:
    """A whole PDU, exactly `command_length` octets, as `framing.Framing` cuts them."""
    _, command_id, status, sequence_number = HEADER.unpack_from(pdu)
    return Pdu(command_id, status, sequence_number, decode_body(command_id, status, pdu))


def decode_body(command_id: int, status: int, pdu: bytes) -> Body | Malformed:
    layout = _LAYOUTS.get(command_id)
    if layout is None:
        cls = BODIES.get(command_id)
        return cls() if cls else Malformed(Status.ESME_RINVCMDID, f"unknown command 0x{command_id:08X}")
    try:
        body, at = layout.read(pdu)
        if at < len(pdu):
            body.tlvs = parse_tlvs(pdu, at)  # type: ignore[attr-defined]
    except BrokenBody as broken:
        if issubclass(BODIES[command_id], Response):
            return _forgive(layout, status, pdu, broken)
        return Malformed(broken.status, broken.reason)
    return body


def _forgive(layout: Layout, status: int, pdu: bytes, broken: BrokenBody) -> Body | Malformed:
    """A response says what became of our request, so it is read as far as it goes.

    Seen in the wild: no message_id at all, also with ESME_ROK; one without its NUL; optional parameters
    announced and cut off. A refusal stays a refusal whatever its body looks like. What is left is Malformed:
    a list of failures cut short, or integers missing from a response that says ESME_ROK.
    """
    try:
        body, at = layout.read(pdu + b"\0" if isinstance(broken, UnterminatedText) else pdu)
    except BrokenBody:
        return layout.cls() if status else Malformed(broken.status, broken.reason)
    body.tlvs = parse_tlvs(pdu, at, whole=False)  # type: ignore[attr-defined]
    return body
