import re
from datetime import UTC, datetime
from itertools import product
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import timezone

from pombo.number import DDDS, area_code, masked, national, normalise, pretty, zone_names

# What Google's library takes for a mobile of Brazil, without country and trunk.
_metadata = phonenumbers.PhoneMetadata.metadata_for_region("BR")
assert _metadata is not None
assert _metadata.mobile is not None
MOBILE = re.compile(str(_metadata.mobile.national_number_pattern))

NUMBERS = st.one_of(
    st.builds(
        lambda ddd, rest: int(f"55{ddd}9{rest:08}"), st.sampled_from(sorted(DDDS)), st.integers(0, 10**8 - 1)
    ),
    st.builds(
        lambda ddd, rest: int(f"55{ddd}7{rest:07}"), st.sampled_from(sorted(DDDS)), st.integers(0, 10**7 - 1)
    ),
)


def test_there_are_67_area_codes() -> None:
    assert len(DDDS) == 67


@pytest.mark.parametrize("tail", ["234567", "34567"], ids=["11 digits", "10 digits"])
def test_every_prefix_is_judged_as_phonenumbers_judges_it(tail: str) -> None:
    # Area and three digits more. From 10 on: a 0 in front is the trunk, for which typed forms are below.
    for start in map("".join, product("123456789", "0123456789", "0123456789", "0123456789", "0123456789")):
        text = start + tail
        number = normalise(text)
        if len(text) == 10 and start[2] in "689" and start[:2] in DDDS:
            # Ours only: phonenumbers no longer knows the eight digits from before 2016. Customers' lists do.
            assert not MOBILE.fullmatch(text)
            assert number == int(f"55{start[:2]}9{text[2:]}")
        else:
            assert number == (int("55" + text) if MOBILE.fullmatch(text) else None), text


@pytest.mark.parametrize("length", [8, 9, 12, 13, 14])
def test_no_other_length_is_a_national_number(length: int) -> None:
    for start in map("".join, product("123456789", "0123456789", "0123456789")):
        text = start.ljust(length, "9")
        if text.startswith("55") and length in (12, 13):
            continue  # that is the country
        assert normalise(text) is None, text
        assert not MOBILE.fullmatch(text)


@pytest.mark.parametrize(
    "form", ["+55{}", "55{}", "+55 ({}", "0{}", "(0{}", "015{}", "021{}", "0 31 {}", "055{}", "041-{}"]
)
@pytest.mark.parametrize("ddd", ["11", "21", "55", "99"])
@pytest.mark.parametrize("rest", ["987654321", "71234567", "31234567", "912345678"])
def test_typed_forms_mean_what_phonenumbers_reads_in_them(form: str, ddd: str, rest: str) -> None:
    text = form.format(ddd + rest)
    theirs = phonenumbers.parse(text, "BR")
    mobile = phonenumbers.number_type(theirs) == phonenumbers.PhoneNumberType.MOBILE
    expected = (
        int(phonenumbers.format_number(theirs, phonenumbers.PhoneNumberFormat.E164)) if mobile else None
    )
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "11987654321",
        "5511987654321",
        "+5511987654321",
        " 5511987654321",  # a raw + in a query string
        "+55 (11) 98765-4321",
        "(+55) 11 98765.4321",
        "(11) 9 8765-4321",
        "11/98765_4321",
        "'11987654321'",
        "\u202a+55\u00a011\u00a098765\u20114321\u202c",  # copied from an address book
        "\ufeff11987654321\r\n",
        "005511987654321",
        "00 55 11 8765-4321",
        "011987654321",
        "(011) 98765-4321",
        "0 15 11 98765-4321",
        "01511987654321",
        "0151187654321",
        "01187654321",
        "1187654321",
        "551187654321",
        "+55 11 8765-4321",
        "55 0 11 8765-4321",
    ],
)
def test_what_customers_type_is_understood(text: str) -> None:
    assert normalise(text) == 5511987654321


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("55999999999", 5555999999999),  # 11 digits: the 55 is the area
        ("(55) 99999-9999", 5555999999999),
        ("55.99999.9999", 5555999999999),
        ("5599999999", 5555999999999),  # and with 10
        ("555599999999", 5555999999999),
        ("5555999999999", 5555999999999),
        ("055999999999", 5555999999999),
        ("01555999999999", 5555999999999),
        ("1161234567", 5511961234567),
        ("1181234567", 5511981234567),
        ("1191234567", 5511991234567),
        ("1171234567", 551171234567),  # trunking
        ("551171234567", 551171234567),
    ],
)
def test_numbers_that_could_be_misread(text: str, number: int) -> None:
    assert normalise(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "-",
        "0",
        "00",
        "000",
        "55",
        "12345",  # a short code
        "987654321",  # no area
        "87654321",
        "20987654321",  # no such area
        "1131234567",  # fixed
        "551131234567",
        "11287654321",  # eleven digits, no 9
        "119876543210",
        "55119876543210",
        "1234567890123456789012",
        "0800 123 4567",
        "4004-1234",
        "11987654321a",
        "tel:11987654321",
        "1198765432l",
        "5.511987654321E+12",
        "11987654321;11987654322",
        "１１９８７６５４３２１",  # full width
        "١١٩٨٧٦٥٤٣٢١",  # Arabic-Indic
        "1198765432²",
        "55119876543２1",
        "11987654321💬",
        "11987654321\u0301",
        "9" * 100_000,
        " " * 64 + "11987654321",
    ],
)
def test_what_is_no_mobile_of_brazil_is_refused(text: str) -> None:
    assert normalise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "+1 299 555 0123",  # eleven digits that would read as (12) 99555-0123
        "+7 991 234 56 78",  # (79) 91234-5678
        "+79912345678",
        "(+7) 9912345678",
        "0079912345678",
        "+11987654321",  # says that its country is 1
        "0011987654321",
        "+351 912 345 678",
        "+54 9 11 1234 5678",
        "+0 11 98765 4321",
        "00 0 11 98765 4321",
    ],
)
def test_a_number_of_another_country_is_never_taken_for_one_of_brazil(text: str) -> None:
    assert normalise(text) is None


@pytest.mark.parametrize(
    "text", ["1199999999.0", "999999999.00", "1199999999,0", " 1199999999.0 ", "11999999999.0"]
)
def test_a_quantity_of_a_spreadsheet_is_refused_since_its_zeros_would_make_another_number(text: str) -> None:
    assert normalise(text) is None


@given(NUMBERS)
def test_a_number_is_read_back_from_each_form_it_is_shown_in(number: int) -> None:
    assert normalise(str(number)) == number
    assert normalise(national(number)) == number
    assert normalise(pretty(number)) == number


@given(st.one_of(st.text(), st.text(alphabet="0123456789+-() 55119", max_size=20)))
def test_whatever_is_typed_gives_a_mobile_or_a_refusal(text: str) -> None:
    number = normalise(text)
    assert number is None or MOBILE.fullmatch(national(number))


def test_numbers_are_shown_as_people_write_them() -> None:
    assert national(5511987654321) == "11987654321"
    assert pretty(5511987654321) == "(11) 98765-4321"
    assert pretty(551171234567) == "(11) 7123-4567"


def test_masked_numbers_keep_area_first_and_last_digits() -> None:
    assert masked(5511987654321) == "(11) 9****-4321"
    assert masked(551171234567) == "(11) 7***-4567"


def test_numbers_of_elsewhere_are_shown_whole() -> None:
    assert national(351912345678) == "351912345678"
    assert pretty(351912345678) == "+351912345678"
    assert masked(351912345678) == "+********5678"


# phonenumbers still has the west of Pará as it was until 2008, when the whole state took the hour of Belém.
@pytest.mark.parametrize("ddd", sorted(DDDS - {"93", "94"}))
def test_every_area_has_the_hours_that_phonenumbers_knows(ddd: str) -> None:
    known = timezone.time_zones_for_number(phonenumbers.parse(f"+55{ddd}34567890"))
    assert _hours(zone_names(int(f"55{ddd}987654321"))) >= _hours(known)


def _hours(names: "tuple[str, ...]") -> "set[object]":
    return {datetime(2026, 7, 1, tzinfo=UTC).astimezone(ZoneInfo(name)).utcoffset() for name in names}


def test_area_codes_are_those_of_numbers_of_brazil() -> None:
    assert [area_code(n) for n in (5568987654321, 556878123456, 351912345678, 15551234567)] == [68, 68, 0, 0]
    assert zone_names(351912345678) == ()
