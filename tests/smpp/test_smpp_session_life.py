"""The session in time: timers, requests of the peer, and the ways it ends."""

import pytest
from bound_sessions import bound, only, pdus, sent

from pombo.smpp import session as session_module
from pombo.smpp.codec import encode
from pombo.smpp.events import (
    Closed,
    LateAnswer,
    Notice,
    Requested,
    Unanswered,
    Unbound,
)
from pombo.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from pombo.smpp.session import Role, Session, StateError
from pombo.smpp.states import State
from pombo.smpp.status import Status

SUBMIT = SubmitSm(source_addr=b"27300", destination_addr=b"5511900000000", short_message=b"oi")


# Time


def test_a_request_without_response_leaves_the_window_unanswered():
    esme = bound(Role.ESME, response_timeout_s=60.0, enquire_every_s=1000.0)
    number = esme.request(SUBMIT, 10.0, "old")
    esme.request(SUBMIT, 20.0, "young")
    assert esme.deadline() == 70.0
    assert esme.tick(69.9) == []
    assert esme.tick(70.0) == [Unanswered("old", number)]
    assert esme.in_flight == 1
    assert esme.deadline() == 80.0


@pytest.mark.parametrize(
    ("answer", "body", "status"),
    [(SubmitSmResp(b"A"), SubmitSmResp(b"A"), 0), (GenericNack(), None, 8)],
    ids=["resp", "nack"],
)
def test_a_late_response_still_finds_its_token_once(answer, body, status):
    esme = bound(Role.ESME, response_timeout_s=60.0, enquire_every_s=1000.0)
    number = esme.request(SUBMIT, 0.0, "token")
    esme.tick(60.0)
    octets = encode(answer, number, status)
    assert esme.receive(octets, 61.0) == [LateAnswer("token", body, status, number)]
    assert isinstance(only(esme.receive(octets, 62.0)), Notice)


def test_the_memory_of_unanswered_requests_is_bounded(monkeypatch):
    monkeypatch.setattr(session_module, "LATE_REMEMBERED", 2)
    esme = bound(Role.ESME, response_timeout_s=1.0)
    numbers = [esme.request(SUBMIT, 0.0, token) for token in ("a", "b", "c")]
    esme.tick(2.0)
    events = esme.receive(b"".join(encode(SubmitSmResp(), number) for number in numbers), 3.0)
    assert [type(event) for event in events] == [Notice, LateAnswer, LateAnswer]


def test_a_silent_peer_is_asked_twice_and_then_given_up():
    esme = bound(Role.ESME)
    assert esme.deadline() == 30.0
    assert esme.tick(29.0) == []
    assert esme.outgoing() == b""
    esme.tick(30.0)
    assert sent(esme) == [(EnquireLink(), 0)]
    esme.tick(40.0)
    assert sent(esme) == [(EnquireLink(), 0)]
    assert esme.tick(50.0) == [Closed("two enquire_links without a sign of life")]
    assert esme.deadline() == float("inf")


def test_an_answered_enquire_link_keeps_the_session_quietly():
    esme = bound(Role.ESME)
    esme.tick(30.0)
    asked = only(pdus(esme.outgoing()))
    assert esme.receive(encode(EnquireLinkResp(), asked.sequence_number), 31.0) == []
    assert esme.deadline() == 61.0


def test_half_a_pdu_is_no_sign_of_life():
    esme = bound(Role.ESME)
    esme.receive(encode(DeliverSm(), 1)[:20], 29.0)
    assert esme.deadline() == 30.0


# Requests of the peer


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("bind", [None, BindTransceiver])
def test_an_enquire_link_is_answered_by_the_session_itself(role, bind):
    session = bound(role, bind) if bind else Session(role, now=0.0)
    assert session.receive(encode(EnquireLink(), 77), 0.0) == []
    answer = only(pdus(session.outgoing()))
    assert (answer.body, answer.sequence_number) == (EnquireLinkResp(), 77)


def test_a_delivery_is_answered_by_the_owner_and_not_before():
    esme = bound(Role.ESME)
    deliver = DeliverSm(short_message=b"id:1 stat:DELIVRD")
    assert esme.receive(encode(deliver, 5), 0.0) == [Requested(deliver, 5)]
    assert esme.outgoing() == b""
    assert esme.respond(5, deliver.response())
    assert esme.outgoing() == encode(DeliverSmResp(), 5)


def test_a_response_after_the_end_is_dropped_and_said_so():
    esme = bound(Role.ESME)
    esme.receive(encode(DeliverSm(), 5), 0.0)
    esme.lost()
    assert esme.respond(5, DeliverSmResp()) is False
    assert esme.outgoing() == b""


# The end


def test_the_peers_unbind_is_answered_and_ends_the_session():
    esme = bound(Role.ESME)
    number = esme.request(SUBMIT, 0.0, "token")
    esme.outgoing()
    octets = encode(Unbind(), 9) + encode(DeliverSm(), 10)
    assert esme.receive(octets, 0.0) == [Unbound(), Closed("unbound by the peer")]
    assert esme.outgoing() == encode(UnbindResp(), 9)
    with pytest.raises(StateError):
        esme.request(SUBMIT, 0.0)
    assert esme.lost() == [Unanswered("token", number)]


def test_our_unbind_lets_responses_and_deliveries_in_but_nothing_new_out():
    esme = bound(Role.ESME)
    submit = esme.request(SUBMIT, 0.0, "token")
    assert esme.unbind(0.0)
    assert esme.room == 0
    with pytest.raises(StateError):
        esme.request(SUBMIT, 0.0)
    *_, unbind = pdus(esme.outgoing())
    octets = encode(DeliverSm(), 4) + encode(SubmitSmResp(b"A"), submit)
    requested, answered = esme.receive(octets, 1.0)
    assert requested == Requested(DeliverSm(), 4)
    assert answered.token == "token"
    assert esme.respond(4, DeliverSmResp())
    esme.outgoing()
    assert esme.tick(9.0) == []
    assert esme.outgoing() == b"", "no enquire_link after unbind"
    assert esme.receive(encode(UnbindResp(), unbind.sequence_number), 9.0) == [Closed("unbound")]


def test_an_unbind_without_answer_ends_after_ten_seconds():
    esme = bound(Role.ESME)
    esme.unbind(100.0)
    assert esme.deadline() == 110.0
    assert esme.tick(110.0) == [Closed("the unbind was not answered in time")]


def test_an_unbind_the_peer_does_not_know_ends_the_session_too():
    esme = bound(Role.ESME)
    esme.unbind(0.0)
    unbind = only(pdus(esme.outgoing()))
    octets = encode(GenericNack(), unbind.sequence_number, Status.ESME_RINVCMDID)
    assert esme.receive(octets, 0.0) == [Closed("unbound")]


def test_an_unbind_response_nobody_asked_for_ends_nothing():
    esme = bound(Role.ESME)
    assert isinstance(only(esme.receive(encode(UnbindResp(), 77), 0.0)), Notice)
    assert esme.state is State.BOUND_TRX


def test_unbinds_that_cross_end_both_sides():
    esme, smsc = bound(Role.ESME), bound(Role.SMSC)
    esme.unbind(0.0)
    smsc.unbind(0.0)
    to_smsc, to_esme = esme.outgoing(), smsc.outgoing()
    assert esme.receive(to_esme, 0.0) == [Unbound(), Closed("unbound by the peer")]
    assert smsc.receive(to_smsc, 0.0) == [Unbound(), Closed("unbound by the peer")]


def test_there_is_nothing_to_unbind_before_the_bind_or_after_the_end():
    esme = Session(Role.ESME, now=0.0)
    assert esme.unbind(0.0) is False
    ended = bound(Role.ESME)
    ended.lost()
    assert ended.unbind(0.0) is False


def test_a_lost_connection_gives_every_request_back_once():
    esme = bound(Role.ESME)
    numbers = [esme.request(SUBMIT, 0.0, token) for token in "ab"]
    assert esme.lost() == [Unanswered("a", numbers[0]), Unanswered("b", numbers[1])]
    assert esme.lost() == []
    assert esme.outgoing() == b""
    assert esme.receive(encode(SubmitSmResp(), numbers[0]), 0.0) == []
    assert esme.tick(1000.0) == []
