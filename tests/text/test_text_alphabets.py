"""GSM 03.38, UCS-2, the alphabets of connections, and the text of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.text import alphabet, gsm7, ucs2
from pombo.text.incoming import decode, is_ucs2
from pombo.text.national import Shift

# 3GPP TS 23.038 §6.2.1, column by column as the standard prints it; b7..b5 run from left to right.
TABLE = [
    ("00", "@£$¥èéùìòÇ\nØø\rÅå"),
    ("10", "Δ_ΦΓΛΩΠΨΣΘΞ"),
    ("1c", "ÆæßÉ"),
    ("20", " !\"#¤%&'()*+,-./"),
    ("30", "0123456789:;<=>?"),
    ("40", "¡ABCDEFGHIJKLMNO"),
    ("50", "PQRSTUVWXYZÄÖÑÜ§"),
    ("60", "¿abcdefghijklmno"),
    ("70", "pqrstuvwxyzäöñüà"),
]
EXTENSION = {
    "\f": "1b0a",
    "^": "1b14",
    "{": "1b28",
    "}": "1b29",
    "\\": "1b2f",
    "[": "1b3c",
    "~": "1b3d",
    "]": "1b3e",
    "|": "1b40",
    "€": "1b65",
}
ALL = "".join(chars for _, chars in TABLE) + "".join(EXTENSION)


@pytest.mark.parametrize(("first", "chars"), TABLE)
def test_basic_characters_have_the_septets_of_the_standard(first: str, chars: str) -> None:
    start = int(first, 16)
    octets = bytes(range(start, start + len(chars)))
    assert gsm7.encode(chars) == octets
    assert gsm7.decode(octets) == chars
    assert [gsm7.encode(char) for char in chars] == [bytes([octet]) for octet in octets]


@pytest.mark.parametrize(("char", "octets"), EXTENSION.items())
def test_extension_characters_follow_an_escape(char: str, octets: str) -> None:
    assert gsm7.encode(char) == bytes.fromhex(octets)
    assert gsm7.decode(bytes.fromhex(octets)) == char
    assert gsm7.septets(char) == 2


def test_the_alphabet_has_nothing_else() -> None:
    everything = (chr(code) for code in range(0x3000))
    assert {char for char in everything if gsm7.encode(char) is not None} == set(ALL)


def test_septets_are_known_exactly_for_texts_that_can_be_encoded() -> None:
    assert gsm7.septets("") == 0
    assert gsm7.septets("ab@") == 3
    assert gsm7.septets("é[€]") == 7
    assert [gsm7.septets(text) for text in ("`", "a\tb", "[\x1b]", "ã", "é\x1b", "中€")] == [None] * 6


@given(st.text(alphabet=ALL))
def test_gsm_texts_come_back_as_they_were(text: str) -> None:
    octets = gsm7.encode(text)
    assert octets is not None
    assert gsm7.decode(octets) == text
    assert gsm7.septets(text) == len(octets)


@given(st.text(alphabet=st.one_of(st.sampled_from(ALL), st.characters(max_codepoint=0x3FF)), max_size=6))
def test_counting_agrees_with_encoding(text: str) -> None:
    octets = gsm7.encode(text)
    assert gsm7.septets(text) == (None if octets is None else len(octets))


def test_an_escape_without_an_extension_shows_the_basic_character() -> None:
    assert gsm7.decode(b"a\x1bAb") == "aAb"


def test_an_escape_alone_at_the_end_or_doubled_shows_a_space() -> None:
    assert gsm7.decode(b"a\x1b") == "a "
    assert gsm7.decode(b"a\x1b\x1be") == "a e"


def test_octets_that_are_no_septets_are_read_as_latin_1() -> None:
    assert gsm7.decode(b"n\xe3o \x80") == "não \ufffd"
    assert gsm7.decode(b"\x1b\xe3") == "ã"


def test_connection_alphabets_encode_or_say_that_they_cannot() -> None:
    assert [alphabet.encode("@é", name) for name in ("gsm", "latin1", "ascii")] == [
        b"\x00\x05",
        b"@\xe9",
        None,
    ]
    assert [alphabet.encode("ã", name) for name in ("gsm", "latin1", "ascii")] == [None, b"\xe3", None]
    assert [alphabet.encode("€", name) for name in ("gsm", "latin1", "ascii")] == [b"\x1be", None, None]


def test_an_unknown_alphabet_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        alphabet.encode("a", "utf8")


@given(st.text(), st.sampled_from(["latin1", "ascii"]))
def test_what_an_octet_alphabet_lacks_never_grows(text: str, name: str) -> None:
    assert len(alphabet.encode_lossy(text, name)) == len(text)


def test_ucs2_is_utf_16_big_end_first() -> None:
    assert ucs2.encode("aã😀") == b"\x00a\x00\xe3\xd8\x3d\xde\x00"
    assert ucs2.decode(b"\x00a\x00\xe3\xd8\x3d\xde\x00") == "aã😀"


def test_ucs2_replaces_lone_surrogates_and_an_odd_octet() -> None:
    assert ucs2.encode("a\ud83db") == b"\x00a\xff\xfd\x00b"
    assert ucs2.decode(b"\xd8\x3d\x00a") == "\ufffda"
    assert ucs2.decode(b"\xde\x00\x00a") == "\ufffda"
    assert ucs2.decode(b"\x00a\xd8\x3d") == "a\ufffd"
    assert ucs2.decode(b"\x00a\x00") == "a\ufffd"


def test_ucs2_obeys_a_byte_order_mark() -> None:
    assert ucs2.decode(b"\xfe\xff\x00a") == "a"
    assert ucs2.decode(b"\xff\xfea\x00") == "a"


@pytest.mark.parametrize(
    ("data_coding", "name", "octets", "text"),
    [
        (0, "gsm", b"\x00\x05\x1be", "@é€"),
        (0, "latin1", b"@\xe9\xe3", "@éã"),
        (0, "ascii", b"@_", "@_"),
        (0, "ascii", b"n\xe3o", "não"),
        (1, "gsm", b"@_", "@_"),
        (2, "gsm", b"\x01\xe9", "\x01é"),
        (3, "gsm", b"n\xe3o", "não"),
        (4, "gsm", b"@\xe9", "@é"),
        (5, "gsm", b"@\xe9", "@é"),  # no JIS: nothing gets lost
        (5, "gsm", "日本".encode("shift_jis"), "日本"),
        (5, "gsm", "日本".encode("iso2022_jp"), "日本"),
        (9, "gsm", b"@\xe9", "@é"),
        (10, "gsm", "日本".encode("iso2022_jp"), "日本"),
        (13, "gsm", "日本丂".encode("iso2022_jp_1"), "日本丂"),
        (13, "gsm", "日本丂".encode("euc_jp"), "日本丂"),
        (14, "gsm", "한국".encode("euc_kr"), "한국"),
        (14, "gsm", b"n\xe3o", "não"),
        (6, "gsm", b"\xbf\xe0", "Пр"),
        (7, "gsm", b"\xe0", "א"),
        (8, "gsm", b"\x00\xe3\xd8\x3d\xde\x00", "ã😀"),
        (15, "gsm", b"@\xe9", "@é"),
        (0x10, "gsm", b"\x00", "@"),  # class 0 in the default alphabet
        (0x14, "gsm", b"@\xe9", "@é"),  # 8 bit data
        (0x18, "gsm", b"\x00a", "a"),  # class 0, UCS-2
        (0x1C, "gsm", b"\x00", "@"),  # a reserved alphabet is the default one
        (0x30, "gsm", b"@\xe9", "@é"),  # compressed
        (0x48, "gsm", b"\x00a", "a"),  # marked for deletion
        (0x90, "gsm", b"\x00", "@"),  # a reserved group
        (0xC8, "gsm", b"\x00", "@"),  # message waiting
        (0xE0, "gsm", b"\x00a", "a"),  # message waiting, UCS-2
        (0xF1, "gsm", b"\x00", "@"),  # class 1
        (0xF1, "latin1", b"\xe3", "ã"),
        (0xF5, "gsm", b"@\xe9", "@é"),  # class 1, 8 bit data
    ],
)
def test_replies_are_read_by_their_data_coding(data_coding: int, name: str, octets: bytes, text: str) -> None:
    assert decode(octets, data_coding, name) == text


@pytest.mark.parametrize("data_coding", [8, 0x18, 0x48, 0xE0])
def test_codings_of_utf_16_are_told_from_others(data_coding: int) -> None:
    assert is_ucs2(data_coding)
    assert not is_ucs2(data_coding | 4 if data_coding != 0xE0 else 0xD0)
    assert not any(is_ucs2(other) for other in (0, 3, 9, 10, 11, 0x28, 0xF8))


# 3GPP TS 23.038 A.3.3 as the standard prints it: where it differs from the default alphabet.
PORTUGUESE_LOCKING = {
    0x04: "ê", 0x06: "ú", 0x07: "í", 0x08: "ó", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á",
    0x12: "ª", 0x13: "Ç", 0x14: "À", 0x15: "∞", 0x16: "^", 0x17: "\\", 0x18: "€", 0x19: "Ó", 0x1A: "|",
    0x1C: "Â", 0x1D: "â", 0x1E: "Ê", 0x24: "º", 0x40: "Í", 0x5B: "Ã", 0x5C: "Õ", 0x5D: "Ú", 0x60: "~",
    0x7B: "ã", 0x7C: "õ", 0x7D: "`",
}  # fmt: skip
# A.2.3, row by row.
PORTUGUESE_SINGLE = [
    (0x05, "ê"), (0x09, "ç\fÔô"), (0x0E, "Áá"), (0x12, "ΦΓ^ΩΠΨΣΘ"), (0x1F, "Ê"), (0x28, "{}"), (0x2F, "\\"),
    (0x3C, "[~]"), (0x40, "|À"), (0x49, "Í"), (0x4F, "Ó"), (0x55, "Ú"), (0x5B, "ÃÕ"), (0x61, "Â"), (0x65, "€"),
    (0x69, "í"), (0x6F, "ó"), (0x75, "ú"), (0x7B, "ãõ"), (0x7F, "â"),
]  # fmt: skip


def test_the_portuguese_locking_table_is_that_of_the_standard() -> None:
    for septet in set(range(0x80)) - {0x1B}:
        expected = PORTUGUESE_LOCKING.get(septet, gsm7.decode(bytes([septet])))
        assert decode(bytes([septet]), 0, "gsm", Shift(locking=3)) == expected


def test_the_portuguese_single_table_is_that_of_the_standard() -> None:
    table = {first + n: char for first, chars in PORTUGUESE_SINGLE for n, char in enumerate(chars)}
    for septet in set(range(0x80)) - {0x1B}:
        expected = table.get(septet, gsm7.decode(bytes([septet])))
        assert decode(bytes([0x1B, septet]), 0, "gsm", Shift(single=3)) == expected


def test_each_national_table_stands_by_itself() -> None:
    octets = b"\x09\x1b\x09\x1b\x65"
    assert decode(octets, 0, "gsm") == "ÇÇ€"
    assert decode(octets, 0, "gsm", Shift(3, 0)) == "çç€"
    assert decode(octets, 0, "gsm", Shift(0, 3)) == "Çç€"
    assert decode(octets, 0, "gsm", Shift(3, 3)) == "çç€"
    assert decode(octets, 0, "gsm", Shift(1, 99)) == "ÇÇ€"  # languages that are not spoken here
    assert decode(b"a\x1b", 0, "gsm", Shift(3, 3)) == "a "
    assert decode(b"n\xe3o", 0, "gsm", Shift(3, 3)) == "não"


def test_national_tables_are_of_the_gsm_alphabet_alone() -> None:
    assert decode("ção".encode("latin-1"), 0, "latin1", Shift(3, 3)) == "ção"
    assert decode("ção".encode("utf-16-be"), 8, "gsm", Shift(3, 3)) == "ção"


def test_replies_lose_nul_which_cannot_be_stored() -> None:
    assert decode(b"a\x00b", 3, "gsm") == "ab"
    assert decode(b"\x00a\x00\x00\x00b", 8, "gsm") == "ab"


@given(
    st.binary(max_size=40),
    st.integers(-1, 300),
    st.sampled_from(["gsm", "latin1", "ascii"]),
    st.builds(Shift, st.sampled_from([0, 1, 3]), st.sampled_from([0, 2, 3, 255])),
)
def test_replies_never_raise_and_can_always_be_stored(
    octets: bytes, data_coding: int, name: str, shift: Shift
) -> None:
    text = decode(octets, data_coding, name, shift)
    assert "\x00" not in text
    assert text.encode("utf-8").decode("utf-8") == text
