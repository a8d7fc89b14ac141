import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.inbound.decode import Reply, decode_reply, storable
from pombo.text.national import Shift

UDHI = 0x40


def udh(*elements: bytes) -> bytes:
    header = b"".join(elements)
    return bytes([len(header)]) + header


CONCAT_8 = b"\x00\x03\x2a\x03\x02"
CONCAT_16 = b"\x08\x04\x01\x2a\x03\x02"
PORTS = b"\x05\x04\x0b\x84\x23\xf0"


def test_a_plain_reply_is_all_text():
    assert decode_reply(0, b"\x05\x00\x03 SAIR") == Reply(b"\x05\x00\x03 SAIR", None, 1, 1)


def test_message_payload_is_the_text_where_short_message_is_empty():
    assert decode_reply(0, b"", b"longo").octets == b"longo"
    assert decode_reply(0, b"", None).octets == b""
    assert decode_reply(UDHI, b"", udh(CONCAT_8) + b"sim") == Reply(b"sim", 42, 3, 2)


@pytest.mark.parametrize(
    ("elements", "reference"),
    [
        ([CONCAT_8], 42),
        ([CONCAT_16], 298),
        ([PORTS, CONCAT_8], 42),
        ([CONCAT_8, PORTS], 42),
        ([b"\x70\x00", CONCAT_16, b"\x20\x01\x01"], 298),
        ([CONCAT_8, CONCAT_16], 298),
        ([CONCAT_16, b"\x00\x03\x07\x02\x05"], 298),
    ],
)
def test_the_place_of_a_part_is_found_among_any_elements(elements: list[bytes], reference: int):
    assert decode_reply(UDHI, udh(*elements) + b"sim") == Reply(b"sim", reference, 3, 2)


@pytest.mark.parametrize(
    "element",
    [PORTS, b"\x00\x03\x2a\x02\x03", b"\x00\x03\x2a\x02\x00", b"\x00\x03\x2a\x01\x01", b"\x00\x02\x2a\x02"],
)
def test_a_header_without_a_possible_place_is_still_no_text(element: bytes):
    assert decode_reply(UDHI, udh(element) + b"sim") == Reply(b"sim", None, 1, 1)


@pytest.mark.parametrize(
    "octets", [b"\xffsim", b"\x05\x00\x03", b"\x05\x00\x09abcsim", b"\x01\x00sim", b"\x00s\x00i"]
)
def test_a_broken_header_is_text(octets: bytes):
    assert decode_reply(UDHI, octets) == Reply(octets, None, 1, 1)


# 3GPP 23.040 §9.2.3.24.15 and .16: 0x24 is the single shift, 0x25 the locking one.
@pytest.mark.parametrize(
    ("elements", "shift"),
    [
        ([b"\x24\x01\x03"], Shift(locking=0, single=3)),
        ([b"\x25\x01\x03"], Shift(locking=3, single=0)),
        ([CONCAT_8, b"\x25\x01\x03", b"\x24\x01\x01"], Shift(locking=3, single=1)),
        ([b"\x24\x02\x03\x03"], Shift()),
    ],
)
def test_the_national_tables_are_found_among_any_elements(elements: list[bytes], shift: Shift):
    reply = decode_reply(UDHI, udh(*elements) + b"sim")
    assert (reply.octets, reply.shift) == (b"sim", shift)
    assert reply.reference == (42 if CONCAT_8 in elements else None)


def test_of_two_texts_nothing_is_lost():
    assert decode_reply(0, b"come", b"comeco e fim").octets == b"comeco e fim"
    assert decode_reply(0, b"um", b"dois").octets == b"umdois"
    assert decode_reply(UDHI, udh(CONCAT_8), b"sim") == Reply(b"sim", 42, 3, 2)


def test_a_header_may_be_all_there_is():
    assert decode_reply(UDHI, udh(CONCAT_8)) == Reply(b"", 42, 3, 2)


def test_sar_numbers_count_where_the_header_says_nothing():
    assert decode_reply(0, b"sim", None, 300, 2, 1) == Reply(b"sim", 300, 2, 1)
    assert decode_reply(UDHI, udh(PORTS) + b"sim", None, 300, 2, 1) == Reply(b"sim", 300, 2, 1)
    assert decode_reply(UDHI, udh(CONCAT_8) + b"sim", None, 300, 2, 1) == Reply(b"sim", 42, 3, 2)


@pytest.mark.parametrize("sar", [(300, 2, None), (None, 2, 1), (300, 2, 3), (300, 0, 0), (300, 1, 1)])
def test_impossible_sar_numbers_leave_a_reply_alone(sar: tuple[int | None, int | None, int | None]):
    assert decode_reply(0, b"sim", None, *sar) == Reply(b"sim", None, 1, 1)


@given(st.integers(0, 255), st.binary(max_size=160))
def test_no_octets_are_too_strange(esm_class: int, octets: bytes):
    reply = decode_reply(esm_class, octets)
    assert octets.endswith(reply.octets)
    assert 1 <= reply.sequence <= reply.total


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_can_always_be_stored(text: str):
    assert "\0" not in storable(text)
    storable(text).encode()


def test_storing_changes_nothing_that_can_be_stored():
    assert storable("a\0ção 😀 \ud800!") == "ação 😀 \ufffd!"


@pytest.mark.parametrize("place", [(65536, 2, 1), (2**32 - 1, 2, 1), (1, 256, 1), (1, 2**32 - 1, 300)])
def test_a_place_wider_than_the_standard_has_it_stands_alone(place: tuple[int, int, int]):
    assert decode_reply(0, b"sim", None, *place) == Reply(b"sim", None, 1, 1)
