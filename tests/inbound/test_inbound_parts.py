from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pombo.inbound.parts import Part, complete, joined


def latin1_or_ucs2(octets: bytes, data_coding: int) -> str:
    return octets.decode("utf-16-be" if data_coding == 8 else "latin-1", "replace")


def text_of(parts: list[Part]) -> str:
    return joined(parts, latin1_or_ucs2)


def test_a_message_is_complete_when_every_part_came_in_any_order():
    parts = [Part(3, 0, b"c"), Part(1, 0, b"a"), Part(1, 0, b"a")]
    assert not complete(parts, 3)
    assert complete([*parts, Part(2, 0, b"b")], 3)
    assert not complete([], 1)


def test_parts_are_joined_in_order_and_duplicates_ignored():
    assert text_of([Part(2, 0, b"b"), Part(1, 0, b"a"), Part(2, 0, b"X"), Part(3, 0, b"c")]) == "abc"


def test_what_is_there_is_joined_when_a_part_never_comes():
    assert text_of([Part(3, 0, b"c"), Part(1, 0, b"a")]) == "ac"
    assert text_of([]) == ""


def test_a_surrogate_pair_cut_in_two_is_whole_again():
    octets = "oi 😀".encode("utf-16-be")
    assert text_of([Part(2, 8, octets[-2:]), Part(1, 8, octets[:-2])]) == "oi 😀"


def test_a_character_cut_in_two_is_whole_again():
    octets = "ação".encode("utf-16-be")
    assert text_of([Part(1, 8, octets[:3]), Part(2, 8, octets[3:])]) == "ação"


def test_a_stray_octet_does_not_shift_the_next_part():
    parts = [Part(1, 8, "ação".encode("utf-16-be") + b"\x00"), Part(2, 8, "não".encode("utf-16-be"))]
    assert text_of(parts).endswith("não")


def test_parts_on_both_sides_of_a_gap_are_not_decoded_together():
    octets = "😀".encode("utf-16-be")
    assert text_of([Part(1, 8, octets[:2]), Part(3, 8, octets[2:])]) != "😀"


def test_parts_in_different_alphabets_are_joined_as_text():
    assert text_of([Part(1, 0, b"oi "), Part(2, 8, "5 €".encode("utf-16-be"))]) == "oi 5 €"


def test_nul_is_dropped():
    assert text_of([Part(1, 0, b"a\0b")]) == "ab"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.data())
def test_a_text_cut_anywhere_comes_back_whole(text: str, data: st.DataObject):
    octets = text.encode("utf-16-be")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    edges = [0, *cuts, len(octets)]
    parts = [Part(n, 8, octets[a:b]) for n, (a, b) in enumerate(pairwise(edges), 1)]
    assert text_of(data.draw(st.permutations(parts))) == text
