"""`make fuzz`: octets of every kind, led by what they reach in the code, into sessions, receipts and replies.

It ends by itself when its time is over, or with the traceback and the octets that caused it. Options of libFuzzer may
follow: -max_total_time=600.
"""

import sys

import atheris

with atheris.instrument_imports(include=["pombo"]):
    from pombo.inbound.decode import decode_reply, storable
    from pombo.receipt import match
    from pombo.smpp import tlv
    from pombo.smpp.codec import encode
    from pombo.smpp.events import Requested
    from pombo.smpp.pdu import BindTransceiver, BindTransceiverResp, DataSm, DeliverSm, SubmitSm
    from pombo.smpp.session import Session
    from pombo.smpp.states import Role
    from pombo.text.incoming import decode

HEADER_OCTETS = 16


def framed(octets: bytes) -> bytes:
    """Cut into PDUs of a sound length, so that not all that is tried ends at the first one."""
    pdus = []
    while octets:
        length = HEADER_OCTETS + octets[0]
        body = octets[1 : length - 3].ljust(HEADER_OCTETS - 4, b"\0")
        pdus.append((4 + len(body)).to_bytes(4, "big") + body)
        octets = octets[length - 3 :]
    return b"".join(pdus)


def bound(role: Role) -> Session:
    session = Session(role, now=0.0)
    if role is Role.ESME:
        session.request(BindTransceiver(), 0.0)
        session.receive(encode(BindTransceiverResp(), 1), 0.0)
        session.request(SubmitSm(), 0.0, "token")
    else:
        session.receive(encode(BindTransceiver(), 1), 0.0)
        session.respond(1, BindTransceiverResp())
        session.request(DeliverSm(), 0.0, "token")
    return session


def read(body: DeliverSm | DataSm) -> None:
    """As a link does."""
    if match.of(body) is not None:
        return
    reply = decode_reply(
        body.esm_class,
        body.short_message if isinstance(body, DeliverSm) else b"",
        tlv.message_payload(body),
        tlv.sar_msg_ref_num(body),
        tlv.sar_total_segments(body),
        tlv.sar_segment_seqnum(body),
    )
    storable(decode(reply.octets, body.data_coding, "gsm", reply.shift)).encode()


def one(octets: bytes) -> None:
    fed = framed(octets[1:]) if octets[:1] > b"\x20" else octets[1:]
    for role in Role:
        for session in (Session(role, now=0.0), bound(role)):
            for event in session.receive(fed[:7], 1.0) + session.receive(fed[7:], 2.0) + session.tick(99.0):
                if isinstance(event, Requested) and isinstance(event.body, DeliverSm | DataSm):
                    read(event.body)
            session.outgoing()
            session.lost()


atheris.Setup([sys.argv[0], "-max_total_time=60", "-max_len=2048", *sys.argv[1:]], one)
atheris.Fuzz()
