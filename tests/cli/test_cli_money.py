import pytest

from pombo.cli import money
from pombo.errors import PomboError


@pytest.mark.parametrize(
    ("typed", "milli"),
    [
        ("0", 0),
        ("5", 5_000),
        ("1000", 1_000_000),
        ("1000.00", 1_000_000),
        ("1000,00", 1_000_000),
        ("1.000,00", 1_000_000),
        ("1,000.00", 1_000_000),
        ("1.000,5", 1_000_500),
        ("1.000.000", 1_000_000_000),
        ("1,000,000", 1_000_000_000),
        ("12.345.678,901", 12_345_678_901),
        ("0.080", 80),
        ("0,080", 80),
        ("0.08", 80),
        ("0,001", 1),
        ("1000.000", 1_000_000),  # no group has four digits
        ("01.005", 1_005),
        ("00012", 12_000),
        (" 7 ", 7_000),
        ("R$ 5,00", 5_000),
        ("R$1.234,56", 1_234_560),
        ("999999999999.999", 999_999_999_999_999),
    ],
)
def test_amounts_as_brazilians_and_programs_write_them(typed: str, milli: int) -> None:
    assert money.parse(typed) == milli


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "R$", "abc", "1e3", "nan", "inf", "0x10", "1_000", "+5", "1.", ".5", ",5", "1..0", "1,,0", "1.000.00",
        "1.00.00", "0.000,00", "1,000,00", "12345,678.00", "1.0000", "1.2345,00", "1 000", "١٠", "１０", "½", "5-", "5\x00",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(PomboError, match="no amount of money"):
        money.parse(typed)


@pytest.mark.parametrize("typed", ["-5", "-0,01", " -1.000,00", "R$ -5"])
def test_negative_amounts_are_refused(typed: str) -> None:
    with pytest.raises(PomboError, match="not negative"):
        money.parse(typed)


@pytest.mark.parametrize("typed", ["1.000", "1,000", "10.000", "999,500", "1.005"])
def test_an_amount_that_reads_in_two_ways_is_refused_with_two_ways_out(typed: str) -> None:
    with pytest.raises(PomboError, match="two ways") as refused:
        money.parse(typed)
    more, less = str(refused.value).partition("write ")[2].removesuffix(", as you mean it.").split(" or ")
    assert money.parse(more) == 1000 * money.parse(less)


@pytest.mark.parametrize("typed", ["1000000000000", "1.000.000.000.000,00", "9" * 5000])
def test_amounts_beyond_the_database_are_refused(typed: str) -> None:
    with pytest.raises(PomboError, match="too large"):
        money.parse(typed)


@pytest.mark.parametrize(
    ("milli", "shown", "as_price"),
    [
        (0, "R$ 0,00", "R$ 0,000"),
        (80, "R$ 0,08", "R$ 0,080"),
        (79, "R$ 0,079", "R$ 0,079"),
        (1_000_000, "R$ 1.000,00", "R$ 1.000,000"),
        (999_925, "R$ 999,925", "R$ 999,925"),
        (1_234_567_890, "R$ 1.234.567,89", "R$ 1.234.567,890"),
        (-1_500, "-R$ 1,50", "-R$ 1,500"),
    ],
)
def test_amounts_are_shown_as_in_brazil(milli: int, shown: str, as_price: str) -> None:
    assert money.show(milli) == shown
    assert money.show_price(milli) == as_price


@pytest.mark.parametrize("milli", [0, 1, 80, 999, 1_000, 12_340, 1_000_000, 123_456_789])
def test_what_is_shown_can_be_typed(milli: int) -> None:
    assert money.parse(money.show(milli)) == milli
