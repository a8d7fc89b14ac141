import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.receipt.identity import (
    Candidate,
    Choice,
    Form,
    Found,
    candidates,
    choose,
    from_octets,
    key,
    same_handset,
)

UUID = "0A1b2c3d-0000-4abc-8def-00112233445F"


def found(form: Form, raw_id: str, attempt: int, same: bool | None = True) -> Found[int]:
    return Found(form, raw_id, same, attempt)


def test_keys_forget_case_and_the_padding_of_numbers():
    assert key("00BEEF01") == key("beef01") == "beef01"
    assert key("0000012") == "12"
    assert key("0") == key("000") == "0"
    assert key("") == ""


def test_ids_that_are_no_numbers_keep_their_zeros():
    assert key(UUID) == UUID.lower()
    assert key("00-12") == "00-12"


@given(st.text(max_size=300) | st.from_regex(r"0*[0-9A-Fa-f]{1,60}", fullmatch=True))
def test_a_key_is_its_own_key_and_bounded(raw_id: str):
    assert key(key(raw_id)) == key(raw_id)
    assert len(key(raw_id)) <= 256


def test_an_id_in_octets_ends_at_its_nul():
    assert from_octets(b" 4f2\xe9 \0rest") == "4f2é"
    assert len(from_octets(b"7" * 70000)) == 256


@given(st.integers(min_value=0, max_value=10**35))
def test_an_operator_that_changes_the_base_is_understood(number: int):
    hexadecimal, decimal = format(number, "x"), str(number)
    assert key(hexadecimal.upper()) in {c.key for c in candidates(decimal.zfill(12))}
    assert key(decimal) in {c.key for c in candidates("0" + hexadecimal)}


def test_forms_are_named_by_what_the_receipt_carries():
    assert candidates("0255") == [
        Candidate("same", "255"),
        Candidate("hex_in_receipt", "597"),
        Candidate("dec_in_receipt", "ff"),
    ]
    assert candidates("FF") == [Candidate("same", "ff"), Candidate("hex_in_receipt", "255")]
    assert candidates("a") == [Candidate("same", "a"), Candidate("hex_in_receipt", "10")]


def test_the_learned_form_comes_first():
    assert candidates("255", "dec_in_receipt")[0].form == "dec_in_receipt"
    assert candidates("255", "hex_in_receipt")[0].form == "hex_in_receipt"


@pytest.mark.parametrize("raw_id", ["7", "0007", UUID, "9" * 41, "١٢٣", "1_000", "+55", "0x1f"])
def test_ids_with_one_form_give_one_candidate(raw_id: str):
    assert candidates(raw_id) == [Candidate("same", key(raw_id))]


def test_long_numbers_are_exact():
    assert (
        candidates("171026125222636445993424531920")[2].key
        != candidates("171026125222636445993424531921")[2].key
    )


def test_no_id_has_no_candidates():
    assert candidates("") == []


def test_the_second_id_is_asked_last_and_only_when_it_is_another():
    assert candidates("FF", None, "255") == candidates("FF")
    assert candidates("FF", None, "77")[-1] == Candidate("other", "77")
    assert candidates("", None, "77") == [Candidate("other", "77")]


def test_nothing_found_waits():
    assert choose("255", [], None) == Choice(None, None, False)


def test_a_single_match_teaches_its_form():
    assert choose("0255", [found("dec_in_receipt", "FF", 1)], None) == Choice(1, "dec_in_receipt", False)
    assert choose("255", [found("same", "255", 1, None)], None) == Choice(1, "same", False)


@pytest.mark.parametrize("raw_id", ["7", UUID])
def test_an_id_with_one_form_teaches_nothing(raw_id: str):
    assert choose(raw_id, [found("same", raw_id, 1)], None) == Choice(1, None, False)


def test_what_was_learned_is_not_taught_again():
    assert choose("255", [found("same", "255", 1)], "same") == Choice(1, None, False)


def test_another_handset_is_no_match():
    assert choose("255", [found("same", "255", 1, False)], None) == Choice(None, None, False)
    both = [found("same", "255", 1, False), found("dec_in_receipt", "ff", 2)]
    assert choose("255", both, None) == Choice(2, "dec_in_receipt", False)


def test_two_meanings_wait_until_a_form_is_learned():
    both = [found("same", "255", 1), found("dec_in_receipt", "ff", 2)]
    assert choose("255", both, None) == Choice(None, None, True)
    assert choose("255", both, "same") == Choice(1, None, False)
    assert choose("255", both, "dec_in_receipt") == Choice(2, None, False)


def test_the_newest_of_one_id_wins():
    assert choose("255", [found("same", "255", 2), found("same", "255", 1)], None).attempt == 2
    assert choose("255", [found("same", "0255", 2), found("same", "00255", 1)], "same").attempt == 2


def test_the_very_same_octets_win_over_the_newest():
    assert choose("0255", [found("same", "255", 2), found("same", "0255", 1)], None).attempt == 1


def test_a_short_id_waits_where_only_another_form_than_the_learned_finds_something():
    # "26" came before its own response was committed; 0x1a is an older message to the same handset.
    assert choose("26", [found("dec_in_receipt", "1a", 1)], "same") == Choice(None, None, True)


def test_a_receipt_that_has_waited_takes_what_there_is_and_teaches_nothing():
    older = found("dec_in_receipt", "1a", 1)
    assert choose("26", [older], "same", waited=True) == Choice(1, None, False)
    assert choose("26", [older, found("same", "26", 2)], "same", waited=True) == Choice(2, None, False)
    assert choose("26", [older, found("same", "26", 2)], None, waited=True) == Choice(None, None, True)
    assert choose("26", [older], None, waited=True) == Choice(1, "dec_in_receipt", False)


def test_an_operator_that_changes_its_form_is_learned_anew():
    changed = [found("dec_in_receipt", "BC614E", 1)]
    assert choose("12345678", changed, "same") == Choice(1, "dec_in_receipt", False)
    assert choose("12345678", [found("dec_in_receipt", "BC614E", 1, None)], "same") == Choice(
        None, None, True
    )


@pytest.mark.parametrize("raw_id", ["7", UUID])
def test_an_id_with_one_form_matches_whatever_is_learned(raw_id: str):
    assert choose(raw_id, [found("same", raw_id, 1, None)], "dec_in_receipt") == Choice(1, None, False)


def test_the_second_id_counts_where_the_first_finds_nothing_and_teaches_nothing():
    assert choose(UUID, [found("other", "255", 1)], None) == Choice(1, None, False)
    assert choose("12345678", [found("other", "255", 1)], None) == Choice(1, None, False)
    both = [found("other", "255", 2), found("same", "12345678", 1)]
    assert choose("12345678", both, None) == Choice(1, "same", False)


@pytest.mark.parametrize(
    "written",
    [
        "5511987654321",
        b"5511987654321",
        "+5511987654321",
        "005511987654321",
        "+55 (11) 98765-4321",
        "11987654321",
        "011987654321",
        "02111987654321",
        "551187654321",
        "1187654321",
        "01187654321",
        "987654321",
        "87654321",
        b"5511987654321\0",
    ],
)
def test_a_handset_is_known_however_it_is_written(written: str | bytes):
    assert same_handset(written, 5511987654321) is True


@pytest.mark.parametrize(
    "written", ["5511987654322", "21987654321", "5521987654321", "351987654321", "87654322"]
)
def test_another_number_is_another_handset(written: str):
    assert same_handset(written, 5511987654321) is False


@pytest.mark.parametrize(
    "written", ["", b"", "POMBO", "28149", b"\xff\xfe", "+", "١٢٣٤٥٦٧٨", "55119*****321"]
)
def test_an_address_that_is_no_handset_says_nothing(written: str | bytes):
    assert same_handset(written, 5511987654321) is None


def test_old_trunking_and_foreign_numbers_are_handsets_too():
    assert same_handset("1178123456", 551178123456) is True
    assert same_handset("+351912345678", 351912345678) is True
    assert same_handset("912345678", 351912345678) is False


@given(st.text(max_size=30) | st.binary(max_size=30))
def test_no_address_is_too_strange(written: str | bytes):
    assert same_handset(written, 5511987654321) in (None, False)
