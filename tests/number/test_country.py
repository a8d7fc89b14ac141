"""Numbers of other countries than Brazil: with `+` or `00`, and only where an account may send to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo import country, number

HERE = frozenset({"BR"})
ARGENTINA = frozenset({"BR", "AR"})


@pytest.mark.parametrize(
    "text",
    [
        "+5491123456789",
        "005491123456789",
        "+54 9 11 2345-6789",
        "00 54 (9) 11 2345 6789",
        "+54 11 15-2345-6789",
    ],
)
def test_a_number_that_says_it_is_international_is_one_of_its_country(text: str):
    assert country.normalise(text, ARGENTINA) == 5491123456789
    assert country.normalise(text, None) == 5491123456789
    assert country.normalise(text, HERE) is None
    assert country.normalise(text, frozenset({"BR", "PT"})) is None


def test_brazil_is_a_country_too():
    assert country.normalise("11999999999", HERE) == 5511999999999
    assert country.normalise("+55 11 99999-9999", ARGENTINA) == 5511999999999
    assert country.normalise("11999999999", frozenset({"AR"})) is None


def test_without_a_sign_a_number_is_one_of_brazil():
    assert country.normalise("5491123456789", ARGENTINA) is None
    assert country.normalise("51987654321", frozenset({"BR", "PE"})) == 5551987654321, (
        "Porto Alegre, not Lima"
    )
    assert country.normalise("+51987654321", frozenset({"BR", "PE"})) == 51987654321


@pytest.mark.parametrize(
    "text",
    [
        "+551133334444",  # a fixed line of Brazil stays one
        "+5400000000000", "+541143211234",  # no number, and a fixed line
        "+1", "+", "00", "+0", "++++", "+999999999999", "+12345678901234567890123456789012345678901234567890",
        "+5491123456789 ext 5", "+54911234567a9", "+٥٤٩١١٢٣٤٥٦٧٨٩", "+54" + "9" * 60, "+5491123456789.0",
    ],
)  # fmt: skip
def test_what_is_no_mobile_of_any_country_is_none(text: str):
    assert country.normalise(text, None) is None


def test_countries_that_share_a_code_are_told_apart():
    assert country.normalise("+14155552671", frozenset({"US"})) == 14155552671
    assert country.normalise("+14155552671", frozenset({"CA"})) is None
    assert country.normalise("+18765551234", frozenset({"US"})) is None, "Jamaica, where pumping pays"


@pytest.mark.parametrize("address", ["5491123456789", "+5491123456789", "005491123456789"])
def test_operators_write_numbers_with_or_without_the_sign(address: str):
    assert country.of_address(address) == 5491123456789


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("5511999999999", 5511999999999), ("011999999999", 5511999999999), ("551133334444", None), ("28149", None),
        ("VIVO", None), ("959123456", None), ("", None),
    ],
)  # fmt: skip
def test_what_operators_write_is_first_read_as_a_number_of_brazil(address: str, expected: int | None):
    assert country.of_address(address) == expected


def test_a_customer_can_answer_to_what_is_shown():
    for kept in (5511999999999, 5491123456789, 14155552671, 351912345678):
        assert country.normalise(country.shown(str(kept)), None) == kept
    assert country.shown("5511999999999") == "11999999999"
    assert country.shown("5491123456789") == "+5491123456789"
    for other in ("28149", "VIVO", "", "551133334444", "99999999999999999999"):
        assert country.shown(other) == number.national_form(other)


@given(
    st.one_of(
        st.text(max_size=80),
        st.from_regex(r"(\+|00)?[0-9 ().-]{6,20}", fullmatch=True),
        st.builds(
            "+{}{}".format,
            st.sampled_from([1, 7, 34, 39, 44, 52, 54, 351, 595, 598]),
            st.integers(10**6, 10**11),
        ),
    )
)
def test_whatever_is_typed_is_a_number_that_stays_itself_or_none(text: str):
    found = country.normalise(text, None)
    assert found is None or 10**6 < found < 10**15
    if found is not None:
        assert country.normalise(f"+{found}", None) == found
