"""A hostile or broken peer harms only its own session, and as little of it as can be."""

import pytest
from bound_sessions import bound, pdus
from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.smpp.codec import encode
from pombo.smpp.events import Answered, Closed, Notice, Requested
from pombo.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm,
    SubmitSmResp,
)
from pombo.smpp.session import Role, Session
from pombo.smpp.states import State
from pombo.smpp.status import Status

INVALID_LENGTH = encode(GenericNack(), 0, Status.ESME_RINVCMDLEN)


def answers(session):
    return [(pdu.body, pdu.status, pdu.sequence_number) for pdu in pdus(session.outgoing())]


def assert_alive(session):
    assert not [
        event for event in session.receive(encode(EnquireLink(), 99), 1.0) if isinstance(event, Closed)
    ]
    assert (EnquireLinkResp(), 0, 99) in answers(session)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "octets",
    [
        bytes(4),
        b"\0\0\0\x0f",
        b"\0\1\0\1",  # 64 KiB and one
        b"\xf0\0\0\x11",
        b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS ClientHello
    ],
)
def test_what_is_not_smpp_is_told_so_and_closed(role, octets):
    session = bound(role)
    assert [type(event) for event in session.receive(octets, 0.0)] == [Closed]
    assert session.outgoing() == INVALID_LENGTH
    assert session.receive(encode(EnquireLink(), 1), 0.0) == []
    assert session.outgoing() == b""


@pytest.mark.parametrize(("octets", "allowed"), [(512, True), (513, False)])
def test_a_stranger_may_send_512_octets_and_no_more(octets, allowed):
    smsc = Session(Role.SMSC, now=0.0)
    smsc.receive(octets.to_bytes(4, "big"), 0.0)
    assert (smsc.state is State.OPEN) is allowed


def test_a_long_delivery_may_come_with_the_bind_response_in_one_read():
    esme = Session(Role.ESME, now=0.0)
    esme.request(BindTransceiver(), 0.0)
    deliver = DeliverSm(tlvs={0x0424: bytes(10_000)})
    octets = encode(BindTransceiverResp(), 1) + encode(deliver, 1)
    assert esme.receive(octets, 0.0)[-1] == Requested(deliver, 1)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("extra", ["", "0f"])
def test_an_unknown_command_gets_a_nack_with_its_own_number(role, extra):
    session = bound(role)
    body = bytes.fromhex(extra)
    octets = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000110 00000000 0a342ee7") + body
    [notice] = session.receive(octets, 0.0)
    assert notice == Notice("unknown command", 0x110, 0x0A342EE7, Status.ESME_RINVCMDID)
    assert answers(session) == [(GenericNack(), Status.ESME_RINVCMDID, 0x0A342EE7)]
    assert_alive(session)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "octets",
    [
        bytes.fromhex("00000010 80000110 00000000 0a342ee7"),  # of no known command
        encode(SubmitSmResp(b"1"), 4711),
        encode(BindTransceiverResp(b"1"), 1),
        encode(GenericNack(), 0, 8),
    ],
    ids=["unknown", "submit_sm_resp", "bind_transceiver_resp", "generic_nack"],
)
def test_a_response_nobody_waits_for_is_noted_and_never_answered(role, octets):
    session = bound(role)
    assert [type(event) for event in session.receive(octets, 0.0)] == [Notice]
    assert session.outgoing() == b""
    assert_alive(session)


@pytest.mark.parametrize(
    ("role", "octets", "answer", "status"),
    [
        (Role.SMSC, "00000010 00000004 00000000 00000007", SubmitSmResp(), Status.ESME_RINVCMDLEN),
        (Role.SMSC, "00000014 00000004 00000000 00000007 41424344", SubmitSmResp(), Status.ESME_RINVCMDLEN),
        (
            Role.ESME,
            "00000022 00000005 00000000 00000007 00000000000000000000000000000000 1068",
            DeliverSmResp(),
            Status.ESME_RINVMSGLEN,
        ),
        (
            Role.ESME,
            "00000027 00000005 00000000 00000007 00000000000000000000000000000000 00 001E 0041 4133",
            DeliverSmResp(),
            Status.ESME_RINVOPTPARSTREAM,
        ),
        (Role.ESME, "00000012 00000102 00000000 00000007 0101", GenericNack(), Status.ESME_RINVCMDLEN),
    ],
    ids=["no body", "no NUL", "sm_length", "TLV", "alert without response"],
)
def test_a_body_nobody_can_read_is_refused_in_its_own_response(role, octets, answer, status):
    session = bound(role)
    [notice] = session.receive(bytes.fromhex(octets), 0.0)
    assert isinstance(notice, Notice)
    assert answers(session) == [(answer, status, 7)]
    assert_alive(session)


def test_a_bind_nobody_can_read_is_refused_and_may_come_again():
    smsc = Session(Role.SMSC, now=0.0)
    smsc.receive(bytes.fromhex("00000012 00000009 00000000 00000001 6100"), 0.0)
    assert answers(smsc) == [(BindTransceiverResp(), Status.ESME_RINVCMDLEN, 1)]
    [asked] = smsc.receive(encode(BindTransceiver(), 2), 0.0)
    assert asked.sequence_number == 2


@pytest.mark.parametrize(
    ("session", "body", "answer"),
    [
        (Session(Role.SMSC, now=0.0), SubmitSm(), SubmitSmResp()),
        (Session(Role.ESME, now=0.0), DeliverSm(), DeliverSmResp()),
        (bound(Role.SMSC, BindReceiver), SubmitSm(), SubmitSmResp()),
        (bound(Role.SMSC, BindReceiver), DataSm(), DataSmResp()),
        (bound(Role.ESME, BindTransmitter), DeliverSm(), DeliverSmResp()),
        (bound(Role.ESME, BindTransmitter), AlertNotification(), GenericNack()),
        (bound(Role.SMSC), DeliverSm(), DeliverSmResp()),
        (bound(Role.ESME), SubmitSm(), SubmitSmResp()),
        (bound(Role.ESME), BindReceiver(), BindReceiverResp()),
        (Session(Role.ESME, now=0.0), BindTransmitter(), BindTransmitterResp()),
    ],
    ids=lambda value: getattr(value, "command", ""),
)
def test_a_command_out_of_its_state_is_refused_and_the_session_lives(session, body, answer):
    state = session.state
    [notice] = session.receive(encode(body, 7), 0.0)
    assert isinstance(notice, Notice)
    [(refusal, status, number)] = answers(session)
    assert (refusal, number) == (answer, 7)
    assert status in (Status.ESME_RINVBNDSTS, Status.ESME_RALYBND)
    assert session.state is state
    assert_alive(session)


def test_a_stray_octet_after_unbind_does_not_stop_it():
    smsc = bound(Role.SMSC)
    smsc.receive(bytes.fromhex("00000011 00000006 00000000 00000005 FF"), 0.0)
    assert smsc.state is State.CLOSED
    assert [number for *_, number in answers(smsc)] == [5]


def test_a_peer_that_never_finishes_its_pdu_is_dropped_by_the_timers():
    esme = bound(Role.ESME)
    octets = encode(DeliverSm(short_message=bytes(100)), 1)
    esme.receive(octets[:17], 0.0)
    for number, at in enumerate((30.0, 40.0)):
        assert esme.tick(at) == []
        esme.receive(octets[17 + number : 18 + number], at)
    assert [type(event) for event in esme.tick(50.0)] == [Closed]


TRAFFIC = b"".join(
    [
        encode(DeliverSm(short_message=b"id:1 stat:DELIVRD", tlvs={0x1E: b"1\0"}), 1),
        bytes.fromhex("00000010 00000110 00000000 00000002"),
        encode(SubmitSmResp(b"A"), 2),
        encode(EnquireLink(), 3),
        bytes.fromhex("00000010 00000005 00000000 00000004"),
    ]
)


@pytest.mark.parametrize("cut", range(len(TRAFFIC)))
def test_a_feed_cut_anywhere_gives_the_same_events_and_answers(cut):
    def run(*pieces):
        esme = bound(Role.ESME)
        esme.request(SubmitSm(), 0.0, "token")
        esme.outgoing()
        return [event for piece in pieces for event in esme.receive(piece, 1.0)], esme.outgoing()

    whole = run(TRAFFIC)
    assert [type(event) for event in whole[0]] == [Requested, Notice, Answered, Notice]
    assert run(TRAFFIC[:cut], TRAFFIC[cut:]) == whole


commands = st.sampled_from(
    [body | bit for body in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 21, 33, 258, 259) for bit in (0, 1 << 31)]
)


@st.composite
def framed_noise(draw):
    """Well-framed PDUs with anything inside."""
    body = draw(st.binary(max_size=60))
    number = draw(st.integers(0, 3))
    head = (
        16 + len(body),
        draw(commands | st.integers(0, 0xFFFFFFFF)),
        draw(st.sampled_from([0, 8])),
        number,
    )
    return b"".join(n.to_bytes(4, "big") for n in head) + body


@settings(deadline=None, derandomize=True)
@given(
    st.sampled_from(Role),
    st.booleans(),
    st.lists(st.binary(max_size=40) | framed_noise(), max_size=12),
)
def test_no_octets_at_all_bring_a_session_down_by_an_exception(role, is_bound, pieces):
    session = bound(role) if is_bound else Session(role, now=0.0)
    if is_bound:
        session.request(SubmitSm() if role is Role.ESME else DeliverSm(), 0.0, "token")
    elif role is Role.ESME:
        session.request(BindTransceiver(), 0.0)
    events = []
    for at, piece in enumerate(pieces):
        events += session.receive(piece, float(at))
        events += session.tick(float(at))
        session.outgoing()
    closed = [event for event in events if isinstance(event, Closed)]
    assert (session.state is State.CLOSED) == bool(closed)
    assert not closed or events[-1] is closed[0]
    assert len(closed) <= 1
    answered = [event for event in events if isinstance(event, Answered)]
    assert len(answered) + len(session.lost()) == is_bound
