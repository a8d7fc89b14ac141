from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pombo.inbound.parts import Assembly, Part, joined
from pombo.text.incoming import decode
from pombo.text.national import Shift


def latin1_or_ucs2(octets: bytes, data_coding: int, shift: Shift) -> str:
    return octets.decode("utf-16-be" if data_coding == 8 else "latin-1", "replace")


def text_of(parts: list[Part]) -> str:
    return joined(parts, latin1_or_ucs2)


def added(assembly: Assembly, *parts: Part) -> list[str]:
    """What each of the parts made ready."""
    return [text_of(ready) for part in parts if (ready := assembly.add(part))]


A, B, C = Part(1, 0, b"a"), Part(2, 0, b"b"), Part(3, 0, b"c")


def test_a_message_is_complete_when_every_part_came_in_any_order():
    assert added(Assembly(3), C, A, A, B) == ["abc"]
    assert added(Assembly(3), C, A, A, C) == []


def test_a_repeated_part_says_nothing_new_before_its_reply_is_joined_and_after():
    assert added(Assembly(2), A, A, B, B, A) == ["ab"]


def test_a_reference_that_comes_back_is_another_reply():
    assert added(Assembly(2), A, B, Part(1, 0, b"A"), Part(2, 0, b"B")) == ["ab", "AB"]
    assert added(Assembly(2), A, B, Part(1, 0, b"A"), Part(2, 3, b"b")) == ["ab", "Ab"]


def test_a_reply_may_share_a_part_with_the_one_that_had_its_reference_before():
    assert added(Assembly(2), A, B, Part(1, 0, b"A"), B) == ["ab", "Ab"]
    assert added(Assembly(2), A, B, B, Part(1, 0, b"A")) == ["ab", "Ab"]


def test_a_repetition_is_no_part_of_the_reply_that_takes_its_place():
    assert added(Assembly(2), A, B, B, Part(2, 0, b"B"), Part(1, 0, b"A")) == ["ab", "AB"]


def test_a_reply_whose_reference_is_taken_before_it_was_whole_is_delivered_as_it_is():
    assert added(Assembly(3), A, B, Part(1, 0, b"x"), Part(2, 0, b"y"), Part(3, 0, b"z")) == ["ab", "xyz"]


def test_a_part_that_comes_after_its_reply_was_given_up_waits_again():
    assembly = Assembly(3)
    assert added(assembly, A, C) == []
    assert text_of(assembly.give_up()) == "ac"
    assert assembly.give_up() == []
    assert added(assembly, A, C, B) == ["abc"]


def test_what_is_there_is_joined_when_a_part_never_comes():
    assert text_of([A, C]) == "ac"
    assert text_of([]) == ""


def test_a_surrogate_pair_cut_in_two_is_whole_again():
    octets = "oi 😀".encode("utf-16-be")
    assert text_of([Part(1, 8, octets[:-2]), Part(2, 8, octets[-2:])]) == "oi 😀"


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


def test_parts_in_different_national_tables_are_joined_as_text():
    def read(octets: bytes, data_coding: int, shift: Shift) -> str:
        return decode(octets, data_coding, "gsm", shift)

    parts = [Part(1, 0, b"a\x1b", Shift(0, 3)), Part(2, 0, b"\x7bo", Shift(0, 3)), Part(3, 0, b"\x7b")]
    assert joined(parts, read) == "aãoä"


def test_codings_that_only_look_like_utf_16_are_joined_before_they_are_read():
    def read(octets: bytes, data_coding: int, shift: Shift) -> str:
        return decode(octets, data_coding, "gsm", shift)

    octets = "a日本".encode("shift_jis")
    assert joined([Part(1, 10, octets[:2]), Part(2, 10, octets[2:])], read) == "a日本"
    parts = [Part(1, 0xE0, "ação".encode("utf-16-be") + b"\x00"), Part(2, 0xE0, "não".encode("utf-16-be"))]
    assert joined(parts, read).endswith("não")


def test_nul_is_dropped():
    assert text_of([Part(1, 0, b"a\0b")]) == "ab"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.data())
def test_a_text_cut_anywhere_comes_back_whole(text: str, data: st.DataObject):
    octets = text.encode("utf-16-be")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    edges = [0, *cuts, len(octets)]
    parts = [Part(n, 8, octets[a:b]) for n, (a, b) in enumerate(pairwise(edges), 1)]
    if len(parts) == 1:
        assert text_of(parts) == text
    else:
        assert added(Assembly(len(parts)), *data.draw(st.permutations(parts))) == [text]
