"""What the operator was given to carry, and the receipts it writes about it."""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

import msgspec

from pombo.simulator.bubbles import Bubble, Part, Place
from pombo.simulator.script import DELIVERED
from pombo.smpp import tlv
from pombo.smpp.pdu import DataSm, DeliverSm, SubmitSm

ENROUTE: Final = 1  # message_state, SMPP 3.4 §5.2.28
UNDELIVERABLE: Final = 5
MESSAGE_STATES: Final = {
    DELIVERED: 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": UNDELIVERABLE,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}

_UDH_INDICATOR: Final = 0x40  # esm_class, SMPP 3.4 §5.2.12
_RECEIPT: Final = 0x04
_BRASILIA: Final = timezone(timedelta(hours=-3))
_TEXT_OCTETS: Final = 20  # of the message, in its receipt: SMPP 3.4 Appendix B


class Message(msgspec.Struct, gc=False):
    """One part as it was submitted."""

    number: int
    message_id: bytes  # as the response said it
    system_id: bytes
    source_addr: bytes
    source_addr_ton: int
    source_addr_npi: int
    destination_addr: bytes
    dest_addr_ton: int
    dest_addr_npi: int
    registered_delivery: int
    text: bytes  # its beginning, for the receipt
    submitted_at: float  # seconds since 1970
    bubble: Bubble
    sequence: int  # of the part in its bubble
    stat: str | None  # how it will end; None: nobody will ever say
    done_at: float = 0.0  # 0.0: still on its way

    @property
    def state(self) -> int:
        return MESSAGE_STATES.get(self.stat or "", UNDELIVERABLE) if self.done_at else ENROUTE

    @property
    def wants_receipt(self) -> bool:
        """SMPP 3.4 §5.2.17: 1 always, 2 when delivery has failed."""
        wish = self.registered_delivery & 0x03
        return wish == 1 or (wish == 2 and self.stat != DELIVERED)


def content(body: SubmitSm | DataSm) -> tuple[Part, Place | None]:
    """The text's octets without their header, and the place of a part among its siblings."""
    octets: bytes = getattr(body, "short_message", b"")
    if not octets and body.tlvs:
        octets = tlv.message_payload(body) or b""
    place = None
    if body.esm_class & _UDH_INDICATOR and octets and octets[0] < len(octets):
        header, octets = octets[1 : 1 + octets[0]], octets[1 + octets[0] :]
        place = _concatenation(header)
    if place is None and body.tlvs:
        place = _place(tlv.sar_msg_ref_num(body), tlv.sar_total_segments(body), tlv.sar_segment_seqnum(body))
    return Part(octets, body.data_coding), place


def _concatenation(header: bytes) -> Place | None:
    """3GPP TS 23.040 §9.2.3.24.1 and .8: information elements 0 (8-bit reference) and 8 (16-bit)."""
    at = 0
    while at + 2 <= len(header):
        identifier, data = header[at], header[at + 2 : at + 2 + header[at + 1]]
        if (identifier, len(data)) in ((0x00, 3), (0x08, 4)):
            return _place(int.from_bytes(data[:-2], "big"), data[-2], data[-1])
        at += 2 + header[at + 1]
    return None


def _place(reference: int | None, total: int | None, sequence: int | None) -> Place | None:
    if reference is None or total is None or sequence is None or not 1 <= sequence <= total <= 255:
        return None
    return Place(reference, total, sequence) if total > 1 else None


def text_begin(part: Part) -> bytes:
    """Nothing of texts that are not in the default alphabet: a receipt's text is."""
    return part.octets[:_TEXT_OCTETS] if part.data_coding == 0 else b""


def receipt(message: Message, receipt_id: bytes, stat: str, done_at: float) -> DeliverSm:
    """In the text form of SMPP 3.4 Appendix B, and with the TLVs that say the same."""
    delivered = stat == DELIVERED
    text = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:%b" % (
        receipt_id,
        b"001" if delivered else b"000",
        _minute(int(message.submitted_at // 60)),
        _minute(int(done_at // 60)),
        stat.encode("ascii", "replace"),
        b"000" if delivered else b"001",
        message.text,
    )
    state = MESSAGE_STATES.get(stat, UNDELIVERABLE)
    return DeliverSm(
        source_addr_ton=message.dest_addr_ton,
        source_addr_npi=message.dest_addr_npi,
        source_addr=message.destination_addr,
        dest_addr_ton=message.source_addr_ton,
        dest_addr_npi=message.source_addr_npi,
        destination_addr=message.source_addr,
        esm_class=_RECEIPT,
        short_message=text,
        tlvs=dict(_items(receipt_id, state)),
    )


def _items(receipt_id: bytes, state: int) -> list[tuple[int, Any]]:
    return [tlv.receipted_message_id.item(receipt_id), tlv.message_state.item(state)]


@lru_cache(maxsize=64)
def _minute(minutes: int) -> bytes:
    """YYMMDDhhmm in the operator's time, that of Brasília. minutes: since 1970"""
    return datetime.fromtimestamp(minutes * 60, _BRASILIA).strftime("%y%m%d%H%M").encode()


def absolute_time(at: float) -> bytes:
    """YYMMDDhhmmsstnnp in UTC (SMPP 3.4 §7.1.1)."""
    return datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M%S000+").encode()
