"""What goes out of a text, against `segments.json`, which the pages' own counter is held to as well."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pombo.text import gsm7, ucs2
from pombo.text.outgoing import Outgoing, prepare, segments, shown, whole

CASES = json.loads((Path(__file__).parent / "segments.json").read_text(encoding="utf-8"))["cases"]
ALPHABETS = ["gsm", "latin1", "ascii"]
HEADER_OCTETS = 6

# Texts that meet the rules: runs long enough for several parts, with escapes, pairs and accents between.
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.text(alphabet=gsm7.BASIC.replace("\x1b", "") + "".join(gsm7.EXTENSION), max_size=40),
        st.builds(lambda char, times: char * times, st.sampled_from("a€[ã😀é…`"), st.integers(0, 170)),
    ),
    max_size=6,
).map("".join)
MODES = st.sampled_from(["ascii", "auto", "unicode"])


def spell(pieces: list[Any]) -> str:
    return "".join(
        piece if isinstance(piece, str) else piece["repeat"][0] * piece["repeat"][1] for piece in pieces
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_text_goes_out_as_the_fixture_says(case: dict[str, Any]) -> None:
    text = spell(case["text"])
    sent = spell(case.get("sent", case["text"]))
    assert prepare(text, case["mode"]) == Outgoing(sent, case["ucs2"], case["parts"])
    header_octets = HEADER_OCTETS if case["parts"] > 1 else 0
    unit_octets = 2 if case["ucs2"] else 1
    parts = segments(sent, case["ucs2"], "gsm", 1)
    assert [(len(part.octets) - header_octets) // unit_octets for part in parts] == case["cut"]
    assert sum(case["cut"]) == case["units"]


def test_the_fixture_names_each_case_once() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))


@given(TEXTS, MODES, st.sampled_from(ALPHABETS))
def test_every_alphabet_makes_the_parts_that_were_charged(text: str, mode: str, alphabet: str) -> None:
    outgoing = prepare(text, mode)
    parts = segments(outgoing.sent, outgoing.ucs2, alphabet, 7)
    assert len(parts) == outgoing.parts
    header_octets = HEADER_OCTETS if outgoing.parts > 1 else 0
    room = (140 if outgoing.ucs2 else 160 if outgoing.parts == 1 else 153 + HEADER_OCTETS) - header_octets
    assert all(len(part.octets) - header_octets <= room for part in parts)


@given(TEXTS, MODES)
def test_the_parts_together_are_the_text_that_was_sent(text: str, mode: str) -> None:
    outgoing = prepare(text, mode)
    parts = segments(outgoing.sent, outgoing.ucs2, "gsm", 7)
    bodies = [part.octets[HEADER_OCTETS if outgoing.parts > 1 else 0 :] for part in parts]
    # Each part on its own: a phone shows parts that come late or never.
    shown = [body.decode("utf-16-be") if outgoing.ucs2 else gsm7.decode(body) for body in bodies]
    assert "".join(shown) == outgoing.sent


@given(TEXTS)
def test_ascii_leaves_no_accent_or_the_text_untouched(text: str) -> None:
    outgoing = prepare(text, "ascii")
    if outgoing.ucs2:
        assert outgoing.sent == text
    else:
        assert not set(outgoing.sent) & set("èéùìòÇÅåÉÄÖÑÜäöñüà")
        assert prepare(outgoing.sent, "ascii") == outgoing


def test_a_single_part_carries_no_header() -> None:
    assert segments("oi", False, "gsm", 5) == [(0, 0, b"oi")]
    assert segments("ção", True, "gsm", 5) == [(8, 0, b"\x00\xe7\x00\xe3\x00o")]


def test_several_parts_carry_an_8_bit_reference_total_and_number() -> None:
    parts = segments("a" * 160 + "@", False, "gsm", 0x1AB)
    assert parts == [
        (0, 0x40, b"\x05\x00\x03\xab\x02\x01" + b"a" * 153),
        (0, 0x40, b"\x05\x00\x03\xab\x02\x02" + b"a" * 7 + b"\x00"),
    ]
    assert segments("ã" * 71, True, "gsm", 9)[1] == (
        8,
        0x40,
        b"\x05\x00\x03\x09\x02\x02" + b"\x00\xe3" * 4,
    )


@pytest.mark.parametrize(
    ("alphabet", "octets"),
    [
        ("gsm", b"\x1b<1\x1b> \x00\x11 \x05 \x01\x03 \x1be \x7f\x0b"),
        ("latin1", b"[1] @_ \xe9 \xa3\xa5 ? \xe0\xd8"),
        ("ascii", b"[1] @_ e ?? ? a?"),
    ],
)
def test_a_part_is_written_in_the_alphabet_of_the_connection(alphabet: str, octets: bytes) -> None:
    assert segments("[1] @_ é £¥ € àØ", False, alphabet, 1) == [(0, 0, octets)]


@pytest.mark.parametrize("alphabet", ["latin1", "ascii"])
def test_octet_alphabets_are_cut_by_septets_all_the_same(alphabet: str) -> None:
    text = "a" * 152 + "[" + "b" * 10
    assert prepare(text, "ascii").parts == 2
    parts = segments(text, False, alphabet, 1)
    assert [part.octets[HEADER_OCTETS:] for part in parts] == [b"a" * 152, b"[" + b"b" * 10]


def test_ucs2_is_the_same_on_every_connection() -> None:
    assert segments("é", True, "gsm", 1) == segments("é", True, "ascii", 1) == [(8, 0, b"\x00\xe9")]


def test_lone_surrogates_go_out_as_replacement_characters() -> None:
    text = "a" * 66 + "\ud83d" + "b" * 10  # looks like the first half of a pair at the cut, and is none
    outgoing = prepare(text, "ascii")
    assert outgoing == ("a" * 66 + "\ufffd" + "b" * 10, True, 2)
    assert len(segments(outgoing.sent, True, "gsm", 1)[0].octets) == 140
    assert segments("\ude00", True, "gsm", 1) == [(8, 0, b"\xff\xfd")]


def test_a_text_that_was_never_prepared_loses_characters_but_is_sent() -> None:
    assert segments("a中ç", False, "gsm", 1) == [(0, 0, b"a?c")]


def test_more_than_255_parts_are_refused_since_no_header_can_say_it() -> None:
    assert prepare("a" * 153 * 255, "ascii").parts == len(segments("a" * 153 * 255, False, "gsm", 1)) == 255
    assert prepare("a" * 153 * 256, "ascii").parts == 256
    with pytest.raises(ValueError, match="256 parts"):
        segments("a" * 153 * 256, False, "gsm", 1)


def test_an_unknown_mode_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        prepare("a", "gsm")


_LONG_MODES = ("sar", "udh16", "udh8")


@given(TEXTS, MODES, st.sampled_from(ALPHABETS), st.sampled_from(_LONG_MODES))
@example("a" * 305, "ascii", "gsm", "udh16")
@example("ã" * 133, "unicode", "gsm", "sar")
def test_in_every_long_mode_the_parts_are_those_that_were_charged_and_all_fit(
    text: str, mode: str, alphabet: str, long_mode: str
) -> None:
    outgoing = prepare(text, mode)
    parts = segments(outgoing.sent, outgoing.ucs2, alphabet, 7, long_mode)
    assert len(parts) == outgoing.parts
    if outgoing.parts == 1:
        return
    for part in parts:
        header = part.octets[0] + 1 if part.esm_class else 0
        wide = header == 7 or (header == 0 and long_mode == "sar")  # the operator may write the wider header
        room = (133 if wide else 134) if outgoing.ucs2 else (152 if wide else 153)
        assert len(part.octets) - header <= room


@pytest.mark.parametrize(("text", "ucs2", "most"), [("a", False, 152), ("ã", True, 66)], ids=["GSM", "UCS-2"])
def test_a_reference_of_16_bits_goes_where_it_costs_no_part_more(text: str, ucs2: bool, most: int) -> None:
    parts = segments(text * (3 * most), ucs2, "gsm", 0x1234567, "udh16")
    assert [part.octets[:7] for part in parts] == [bytes((6, 8, 4, 0x45, 0x67, 3, n)) for n in (1, 2, 3)]
    assert all(part.esm_class == 0x40 for part in parts)
    longer = segments(text * (3 * most + 1), ucs2, "gsm", 0x1234567, "udh16")
    assert [part.octets[:6] for part in longer] == [bytes((5, 0, 3, 0x67, 3, n)) for n in (1, 2, 3)]


def test_with_optional_parameters_the_parts_have_no_header_unless_it_would_cost_one_more() -> None:
    assert segments("a" * 304, False, "gsm", 7, "sar") == [(0, 0, b"a" * 152)] * 2
    assert [part.esm_class for part in segments("a" * 305, False, "gsm", 7, "sar")] == [0x40, 0x40]


@pytest.mark.parametrize("long_mode", _LONG_MODES)
def test_one_part_is_the_same_in_every_mode(long_mode: str) -> None:
    assert segments("a" * 160, False, "gsm", 7, long_mode) == [(0, 0, b"a" * 160)]
    assert segments("ã" * 70, True, "gsm", 7, long_mode)[0].esm_class == 0


@given(TEXTS, MODES, st.sampled_from(ALPHABETS))
def test_in_one_piece_it_is_the_whole_text(text: str, mode: str, alphabet: str) -> None:
    outgoing = prepare(text, mode)
    parts = segments(outgoing.sent, outgoing.ucs2, alphabet, 7)
    header_octets = HEADER_OCTETS if outgoing.parts > 1 else 0
    piece = whole(outgoing.sent, outgoing.ucs2, alphabet)
    assert piece.octets == b"".join(part.octets[header_octets:] for part in parts)
    assert (piece.data_coding, piece.esm_class) == (8 if outgoing.ucs2 else 0, 0)


@pytest.mark.parametrize("mode", ["udh8", "udh16", "sar"])
@pytest.mark.parametrize(
    "text", ["a", "a" * 161, "a" * 306, "a" * 304, "a" * 152 + "€" + "a" * 9, "ã" * 135, "😀" * 36]
)
def test_parts_are_shown_to_people_as_they_are_cut_for_operators(text: str, mode: str) -> None:
    sent, wide, parts = prepare(text, "auto")
    pieces = shown(sent, wide, mode)
    cut = segments(sent, wide, "gsm", 7, mode)
    assert len(pieces) == parts
    assert "".join(piece.text for piece in pieces) == sent
    assert all(piece.units <= piece.room for piece in pieces)
    for piece, segment in zip(pieces, cut, strict=True):
        octets = segment.octets[segment.octets[0] + 1 :] if segment.esm_class else segment.octets
        assert octets == (ucs2.encode if wide else gsm7.encode)(piece.text)


def test_a_text_that_the_operator_cuts_is_shown_whole() -> None:
    assert shown("a" * 400, False, "payload") == [("a" * 400, 400, 400)]
