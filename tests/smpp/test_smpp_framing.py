"""Cutting the stream into PDUs."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pombo.smpp.codec import encode
from pombo.smpp.framing import MOST_OCTETS_BOUND, Framing
from pombo.smpp.pdu import EnquireLink, SubmitSm

PDUS = [encode(EnquireLink(), 1), encode(SubmitSm(short_message=b"oi"), 2), encode(EnquireLink(), 3)]
STREAM = b"".join(PDUS)


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere_gives_the_same_pdus(cut):
    framing = Framing()
    assert [*framing.feed(STREAM[:cut]), *framing.feed(STREAM[cut:])] == PDUS


def test_a_stream_fed_octet_by_octet_gives_the_same_pdus():
    framing = Framing()
    assert [pdu for octet in STREAM for pdu in framing.feed(bytes((octet,)))] == PDUS


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_in_any_pieces_gives_the_same_pdus(cuts):
    framing, bounds = Framing(), [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(bounds)]
    assert [pdu for piece in pieces for pdu in framing.feed(piece)] == PDUS


@pytest.mark.parametrize(
    "head",
    [
        bytes(4),
        b"\0\0\0\x0f",
        b"\0\0\2\1",  # 513
        b"\xf0\0\0\x11",  # negative where integers are signed
        b"GET ",
        b"\x16\3\1\0",  # TLS ClientHello
        b"SSH-",
    ],
)
def test_four_octets_tell_that_it_is_not_smpp(head):
    framing = Framing()
    assert list(framing.feed(head[:3])) == []
    assert framing.lost is None
    assert list(framing.feed(head[3:])) == []
    assert framing.lost


def test_pdus_before_the_fault_are_still_given_and_none_after():
    framing = Framing()
    assert list(framing.feed(PDUS[0] + bytes(4) + PDUS[0])) == [PDUS[0]]
    assert list(framing.feed(PDUS[0])) == []


@pytest.mark.parametrize("octets", [16, 512])
def test_the_limits_themselves_are_allowed(octets):
    pdu = octets.to_bytes(4, "big") + bytes(octets - 4)
    framing = Framing()
    assert list(framing.feed(pdu)) == [pdu]


def test_the_limit_may_rise_between_two_pdus_of_one_read():
    """bind_resp and a long deliver_sm may come in one segment."""
    framing, got = Framing(), []
    long = MOST_OCTETS_BOUND.to_bytes(4, "big") + bytes(MOST_OCTETS_BOUND - 4)
    for pdu in framing.feed(PDUS[0] + long):
        got.append(pdu)
        framing.most_octets = MOST_OCTETS_BOUND
    assert got == [PDUS[0], long]
    assert framing.lost is None
