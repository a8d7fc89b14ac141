"""The session of both roles: binding, and requests of ours. Octets in, events out; time is a number."""

import pytest
from bound_sessions import bound, only, sent

from pombo.smpp.codec import encode
from pombo.smpp.events import (
    Answered,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    Notice,
    Requested,
)
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    GenericNack,
    Outbind,
    SubmitSm,
    SubmitSmResp,
    Unbind,
)
from pombo.smpp.session import LocalError, Role, Session, StateError, WindowFullError
from pombo.smpp.states import State
from pombo.smpp.status import Status

SUBMIT = SubmitSm(source_addr=b"27300", destination_addr=b"5511900000000", short_message=b"oi")


# Binding


@pytest.mark.parametrize(
    ("bind", "state"),
    [
        (BindTransmitter, State.BOUND_TX),
        (BindReceiver, State.BOUND_RX),
        (BindTransceiver, State.BOUND_TRX),
    ],
)
def test_both_sides_are_bound_by_bind_and_its_response(bind, state):
    esme, smsc = Session(Role.ESME, now=0.0), Session(Role.SMSC, now=0.0)
    number = esme.request(bind(system_id=b"a", password=b"b"), 0.0)
    assert esme.state is State.OPEN
    asked = only(smsc.receive(esme.outgoing(), 0.0))
    assert asked == BindRequested(bind(system_id=b"a", password=b"b"), number)
    assert smsc.state is State.OPEN
    assert smsc.respond(number, bind.response(b"smsc", {0x0210: b"\x34"}))
    assert smsc.state is state
    assert esme.receive(smsc.outgoing(), 0.0) == [Bound(b"smsc", 0x34)]
    assert esme.state is state


def test_a_bind_response_with_broken_optional_parameters_still_binds():
    esme = Session(Role.ESME, now=0.0)
    esme.request(BindTransceiver(), 0.0)
    half_tlv = bytes.fromhex("00000015 80000009 00000000 00000001 61 00 021000")
    assert esme.receive(half_tlv, 0.0) == [Bound(b"a", None)]


@pytest.mark.parametrize(
    "answer", [encode(BindTransceiverResp(), 1, 0x0E), encode(GenericNack(), 1, 0x0E)], ids=["resp", "nack"]
)
def test_a_refused_bind_says_why_and_closes(answer):
    esme = Session(Role.ESME, now=0.0)
    esme.request(BindTransceiver(), 0.0)
    assert esme.receive(answer, 0.0) == [BindRefused(0x0E), Closed("bind refused: ESME_RINVPASWD")]
    assert esme.state is State.CLOSED


def test_a_bind_answered_by_another_binds_response_is_not_bound():
    esme = Session(Role.ESME, now=0.0)
    esme.request(BindTransceiver(), 0.0)
    assert isinstance(only(esme.receive(encode(BindReceiverResp(), 1), 0.0)), Notice)
    assert esme.state is State.OPEN


def test_a_second_bind_is_our_mistake_while_the_first_is_in_flight():
    esme = Session(Role.ESME, now=0.0)
    esme.request(BindTransceiver(), 0.0)
    with pytest.raises(StateError):
        esme.request(BindTransceiver(), 0.0)


def test_a_refused_customer_may_bind_again_until_the_time_for_it_is_over():
    smsc = Session(Role.SMSC, now=0.0, bind_timeout_s=5.0)
    smsc.receive(encode(BindTransceiver(), 1), 1.0)
    smsc.respond(1, BindTransceiverResp(), Status.ESME_RINVPASWD)
    assert smsc.state is State.OPEN
    assert smsc.deadline() == 5.0
    smsc.receive(encode(BindTransmitter(), 2), 2.0)
    smsc.respond(2, BindTransmitterResp())
    assert smsc.state is State.BOUND_TX


def test_a_bind_while_one_is_judged_or_taken_is_already_bound():
    smsc = Session(Role.SMSC, now=0.0)
    smsc.receive(encode(BindTransceiver(), 1), 0.0)
    assert isinstance(only(smsc.receive(encode(BindTransceiver(), 2), 0.0)), Notice)
    assert sent(smsc) == [(BindTransceiverResp(), Status.ESME_RALYBND)]
    smsc.respond(1, BindTransceiverResp())
    smsc.outgoing()
    smsc.receive(encode(BindReceiver(), 3), 0.0)
    assert sent(smsc) == [(BindReceiverResp(), Status.ESME_RALYBND)]
    assert smsc.state is State.BOUND_TRX


def test_a_bind_is_not_taken_with_another_binds_response():
    smsc = Session(Role.SMSC, now=0.0)
    smsc.receive(encode(BindTransceiver(), 1), 0.0)
    with pytest.raises(StateError):
        smsc.respond(1, BindReceiverResp())
    assert smsc.state is State.OPEN
    assert smsc.outgoing() == b""


def test_a_bind_that_never_comes_closes_after_five_seconds():
    smsc = Session(Role.SMSC, now=100.0)
    assert smsc.deadline() == 105.0
    assert smsc.tick(104.9) == []
    assert smsc.tick(105.0) == [Closed("no bind came in time")]


def test_a_bind_being_judged_is_not_late():
    smsc = Session(Role.SMSC, now=0.0)
    smsc.receive(encode(BindTransceiver(), 1), 1.0)
    assert smsc.tick(60.0) == []


def test_a_bind_that_is_never_answered_closes():
    esme = Session(Role.ESME, now=0.0, bind_answer_s=30.0)
    esme.request(BindTransceiver(), 7.0)
    assert esme.deadline() == 37.0
    assert esme.tick(37.0) == [Closed("the bind was not answered in time")]


def test_an_outbind_is_handed_to_the_owner():
    smsc, esme = Session(Role.SMSC, now=0.0), Session(Role.ESME, now=0.0)
    smsc.request(Outbind(b"a", b"b"), 0.0)
    assert esme.receive(smsc.outgoing(), 0.0) == [Requested(Outbind(b"a", b"b"), 1)]


# Requests of ours and their responses


def test_a_token_comes_back_with_its_response_in_any_order():
    esme = bound(Role.ESME)
    first = esme.request(SUBMIT, 0.0, token="first")
    second = esme.request(SUBMIT, 0.0, token="second")
    assert esme.in_flight == 2
    octets = encode(SubmitSmResp(b"B"), second) + encode(SubmitSmResp(), first, 0x58)
    assert esme.receive(octets, 1.0) == [
        Answered("second", SubmitSmResp(b"B"), 0, second),
        Answered("first", SubmitSmResp(), 0x58, first),
    ]
    assert esme.in_flight == 0


def test_many_requests_leave_in_one_write():
    esme = bound(Role.ESME)
    for _ in range(3):
        esme.request(SUBMIT, 0.0)
    assert sent(esme) == [(SUBMIT, 0)] * 3
    assert esme.outgoing() == b""


def test_the_window_is_never_overdrawn():
    esme = bound(Role.ESME, window=2)
    assert esme.room == 2
    number = esme.request(SUBMIT, 0.0)
    esme.request(SUBMIT, 0.0)
    assert esme.room == 0
    with pytest.raises(WindowFullError):
        esme.request(SUBMIT, 0.0)
    assert len(sent(esme)) == 2
    esme.receive(encode(SubmitSmResp(), number), 0.0)
    assert esme.room == 1


def test_there_is_no_room_unless_bound():
    esme = Session(Role.ESME, now=0.0)
    assert esme.room == 0
    with pytest.raises(LocalError):
        esme.request(SUBMIT, 0.0)


def test_a_request_that_cannot_be_written_takes_no_place_and_sends_nothing():
    esme = bound(Role.ESME)
    with pytest.raises(EncodeError):
        esme.request(SubmitSm(short_message=bytes(255)), 0.0)
    assert esme.in_flight == 0
    assert esme.outgoing() == b""


def test_a_generic_nack_for_a_request_is_its_answer():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    assert esme.receive(encode(GenericNack(), number, 3), 0.0) == [Answered("token", None, 3, number)]
    assert esme.in_flight == 0


def test_a_generic_nack_never_reads_as_success():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    assert only(esme.receive(encode(GenericNack(), number, 0), 0.0)).status == Status.ESME_RUNKNOWNERR


def test_a_response_nobody_can_read_frees_its_place_and_is_no_success():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    esme._in_flight[number] = ("token", 0.0, 0x80000003)  # as if it were a query_sm
    no_state = bytes.fromhex("00000012 80000003 00000000") + number.to_bytes(4, "big") + b"7\0"
    notice, answered = esme.receive(no_state, 0.0)
    assert isinstance(notice, Notice)
    assert answered == Answered("token", None, Status.ESME_RINVCMDLEN, number)


def test_an_unterminated_message_id_in_a_refusal_keeps_the_status():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    octets = bytes.fromhex("00000012 80000004 0000000B") + number.to_bytes(4, "big") + b"0A"
    assert esme.receive(octets, 0.0) == [Answered("token", SubmitSmResp(b"0A"), 0x0B, number)]


def test_a_response_of_another_kind_does_not_answer():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    assert isinstance(only(esme.receive(encode(DeliverSmResp(), number), 0.0)), Notice)
    assert esme.in_flight == 1


def test_a_response_answers_only_once():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    twice = encode(SubmitSmResp(), number) * 2
    assert [type(event) for event in esme.receive(twice, 0.0)] == [Answered, Notice]


def test_sequence_numbers_wrap_and_skip_those_in_flight():
    esme = bound(Role.ESME)
    esme._sequence_number = 0x7FFFFFFD
    numbers = [esme.request(SUBMIT, 0.0) for _ in range(3)]
    assert numbers == [0x7FFFFFFE, 0x7FFFFFFF, 1]
    esme._sequence_number = 0x7FFFFFFD
    assert esme.request(SUBMIT, 0.0) == 2


def test_an_smsc_delivers_and_hears_the_answer():
    smsc = bound(Role.SMSC)
    number = smsc.request(DeliverSm(short_message=b"oi"), 0.0, "mo")
    assert smsc.receive(encode(DeliverSmResp(), number), 0.0) == [Answered("mo", DeliverSmResp(), 0, number)]


def test_an_alert_takes_no_place_in_the_window():
    smsc = bound(Role.SMSC)
    smsc.request(AlertNotification(), 0.0)
    assert smsc.in_flight == 0


@pytest.mark.parametrize("body", [EnquireLink(), Unbind()])
def test_link_commands_are_the_sessions_own(body):
    with pytest.raises(StateError):
        bound(Role.ESME).request(body, 0.0)


@pytest.mark.parametrize(
    ("role", "bind", "body"),
    [
        (Role.ESME, BindReceiver, SubmitSm()),
        (Role.ESME, BindTransceiver, DeliverSm()),
        (Role.ESME, BindTransceiver, BindTransceiver()),
        (Role.SMSC, BindTransmitter, DeliverSm()),
        (Role.SMSC, BindTransmitter, DataSm()),
        (Role.SMSC, BindTransceiver, SubmitSm()),
    ],
)
def test_what_the_role_may_not_send_is_our_mistake(role, bind, body):
    session = bound(role, bind)
    with pytest.raises(StateError):
        session.request(body, 0.0)
    assert session.outgoing() == b""
