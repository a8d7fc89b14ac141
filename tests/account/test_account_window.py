"""When marketing may go: never outside the window, where its recipient is."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pombo.account import window
from pombo.account.holidays import national_holidays
from pombo.account.window import AT_ONCE, When, Window, opening, when
from pombo.message import MessageClass
from pombo.number import DDDS, zone_names

DEFAULT = window.parse(window.DEFAULT)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
RECIPIENTS = st.sampled_from(sorted(DDDS)).map(lambda ddd: int(f"55{ddd}987654321"))
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))
WINDOWS = st.builds(
    lambda days, opens, long: Window(days, opens, min(opens + long, 1440)),
    st.frozensets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(1, 1440),
)  # fmt: skip


def _zones(recipient: int) -> tuple[ZoneInfo, ...]:
    return tuple(map(ZoneInfo, zone_names(recipient)))


def _is_open(at: datetime, given_window: Window, zone: ZoneInfo) -> bool:
    """Without any of the code under test but the holidays."""
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return (
        local.weekday() in given_window.days
        and local.date() not in national_holidays(local.year)
        and given_window.opens_min <= minute < given_window.closes_min
    )


def _sent(recipient: int, now: datetime, scheduled_at: datetime | None = None) -> When:
    return when(scheduled_at, MessageClass.MARKETING, DEFAULT, recipient, SAO_PAULO, now)


def local(text: str, zone: str = "America/Sao_Paulo") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@given(WINDOWS, RECIPIENTS, TIMES)
def test_an_opening_is_inside_the_window_and_not_before_the_time(
    given_window: Window, recipient: int, at: datetime
) -> None:
    zones = _zones(recipient)
    found = opening(given_window, zones, at)

    wide = given_window.closes_min - given_window.opens_min > 60
    for zone in zones if wide else zones[:1]:
        assert _is_open(found.opens_at, given_window, zone)
        assert _is_open(found.closes_at - timedelta(seconds=1), given_window, zone)
    assert found.opens_at >= at
    assert found.closes_at > found.opens_at


@given(WINDOWS, RECIPIENTS, TIMES, st.floats(0, 1, exclude_max=True))
def test_nothing_between_the_time_and_the_opening_is_open(
    given_window: Window, recipient: int, at: datetime, share: float
) -> None:
    zones = _zones(recipient)
    between = at + (opening(given_window, zones, at).opens_at - at) * share
    if between < opening(given_window, zones, at).opens_at:
        assert not all(_is_open(between, given_window, zone) for zone in zones)


@given(RECIPIENTS, TIMES)
def test_what_is_sent_at_the_closing_goes_to_another_opening(recipient: int, at: datetime) -> None:
    assert DEFAULT is not None
    closes_at = opening(DEFAULT, _zones(recipient), at).closes_at
    assert opening(DEFAULT, _zones(recipient), closes_at).opens_at > closes_at


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-25 08:59:59", "2026-11-25 09:00"),
        ("2026-11-25 22:00:00", "2026-11-26 09:00"),
        ("2026-11-28 22:30:00", "2026-11-30 09:00"),  # over Sunday
        ("2026-11-19 23:00:00", "2026-11-21 09:00"),  # over 20 November
        ("2026-12-24 22:00:00", "2026-12-26 09:00"),  # over Christmas
        ("2027-12-31 23:00:00", "2028-01-03 09:00"),  # over New Year's Day, a Saturday, and Sunday
    ],
)
def test_marketing_of_the_night_waits_for_the_next_opening(now: str, opens: str) -> None:
    found = _sent(5511987654321, local(now))
    assert found.opens_at == local(opens)
    assert found.closes_at == local(opens) + timedelta(hours=13)


def test_marketing_of_the_day_goes_at_once_until_the_evening() -> None:
    now = local("2026-11-25 21:59:59")
    assert _sent(5511987654321, now) == When(None, None, local("2026-11-25 22:00"))


@pytest.mark.parametrize(
    ("recipient", "opens", "closes"),
    [
        (5511987654321, "09:00", "22:00"),
        (5592987654321, "10:00", "23:00"),  # Manaus, an hour behind
        (5565987654321, "10:00", "23:00"),  # Cuiaba
        (5568987654321, "11:00", "00:00"),  # Rio Branco, two hours behind
        (5597987654321, "11:00", "23:00"),  # Amazonas, in both of its zones
        (5581987654321, "09:00", "21:00"),  # Recife and its islands, an hour ahead
        (556878123456, "11:00", "00:00"),  # a trunking mobile of Rio Branco
        (351912345678, "09:00", "22:00"),  # elsewhere: the account's
    ],
)
def test_the_hours_are_those_of_the_recipient(recipient: int, opens: str, closes: str) -> None:
    found = _sent(recipient, local("2026-11-25 03:00"))
    assert found.opens_at is not None
    assert found.closes_at is not None
    assert f"{found.opens_at.astimezone(SAO_PAULO):%H:%M}" == opens
    assert f"{found.closes_at.astimezone(SAO_PAULO):%H:%M}" == closes


def test_a_schedule_outside_the_window_waits_for_the_opening_after_it() -> None:
    sunday = local("2026-11-29 15:00")
    found = _sent(5511987654321, local("2026-11-25 12:00"), sunday)
    assert (found.scheduled_at, found.opens_at) == (sunday, local("2026-11-30 09:00"))


def test_other_classes_and_an_open_window_know_no_hour() -> None:
    night = local("2026-11-29 03:00")
    assert when(None, MessageClass.TRANSACTIONAL, DEFAULT, 5511987654321, SAO_PAULO, night) == AT_ONCE
    assert when(None, MessageClass.OTP, DEFAULT, 5511987654321, SAO_PAULO, night) == AT_ONCE
    assert when(None, MessageClass.MARKETING, None, 5511987654321, SAO_PAULO, night) == AT_ONCE


def test_a_schedule_that_has_passed_is_now() -> None:
    now = local("2026-11-25 12:00")
    past = now - timedelta(hours=3)
    assert when(past, MessageClass.OTP, DEFAULT, 5511987654321, SAO_PAULO, now) == When(past, None, None)


@pytest.mark.parametrize(
    ("text", "days", "minutes"),
    [
        ("mon-sat 09:00-22:00", {0, 1, 2, 3, 4, 5}, (540, 1320)),
        ("mon,wed,fri-sun 00:00-24:00", {0, 2, 4, 5, 6}, (0, 1440)),
        ("sun 10:30-10:31", {6}, (630, 631)),
    ],
)
def test_windows_are_days_and_hours(text: str, days: set[int], minutes: tuple[int, int]) -> None:
    assert window.parse(text) == Window(frozenset(days), *minutes)


@pytest.mark.parametrize(
    "text",
    [
        "", "mon", "mon-sat", "mon-sat 9:00-22:00", "mon-sat 22:00-09:00", "mon-sat 09:00-09:00", "sat-mon 09:00-22:00",
        "mon- 09:00-22:00", "mon-sat 09:00-24:01", "seg-sab 09:00-22:00", "mon-sat 09:00-22:00 x", "mon,, 09:00-22:00",
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        window.parse(text)


def test_always_is_no_window() -> None:
    assert window.parse("always") is None


def test_holidays_are_the_national_ones() -> None:
    days = {f"{day:%m-%d}" for day in national_holidays(2026)}
    assert {"01-01", "04-03", "04-21", "05-01", "09-07", "10-12", "11-02", "11-15", "11-20", "12-25"} == days
    assert date(2026, 2, 17) not in national_holidays(2026)  # carnival is none by law
