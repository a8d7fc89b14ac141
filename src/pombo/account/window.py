"""When a message may go: at the time that its customer asked for, and marketing only in its account's window.

A window is `always`, or days and hours: `mon-sat 09:00-22:00`, `mon,wed,fri 10:00-18:30`. It counts in the recipient's
time zone, by area code, and is closed on national holidays. Where an area code has two time zones it is open while it
is open in both of them.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pombo import number
from pombo.account.holidays import national_holidays
from pombo.message import MessageClass

ALWAYS = "always"
DEFAULT = "mon-sat 09:00-22:00"
FORM = f"{ALWAYS}, or days and hours such as {DEFAULT!r} or 'mon,wed,fri 10:00-18:30'"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)", re.ASCII)
_MINUTES_A_DAY = 24 * 60

Zones = tuple[ZoneInfo, ...]


class Window(NamedTuple):
    days: frozenset[int]  # as date.weekday() counts
    opens_min: int  # minutes after midnight
    closes_min: int


class Opening(NamedTuple):
    opens_at: datetime
    closes_at: datetime


class When(NamedTuple):
    scheduled_at: datetime | None = None  # as its customer asked
    opens_at: datetime | None = None  # not before; None: at once
    closes_at: datetime | None = (
        None  # from then on it waits for the next opening; None: it may go at any hour
    )


AT_ONCE = When()


@lru_cache(maxsize=256)
def parse(text: str) -> Window | None:
    """None for `always`. Raises ValueError, without words, for what is no window."""
    if text == ALWAYS:
        return None
    days, _, hours = text.partition(" ")
    found = _HOURS.fullmatch(hours)
    if found is None:
        raise ValueError
    opens_h, opens_m, closes_h, closes_m = map(int, found.groups())
    window = Window(frozenset(_days(days)), opens_h * 60 + opens_m, closes_h * 60 + closes_m)
    if not window.opens_min < window.closes_min <= _MINUTES_A_DAY:
        raise ValueError
    return window


def _days(text: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start, end = _DAYS.index(first), _DAYS.index(last if dash else first)
        if end < start:
            raise ValueError
        yield from range(start, end + 1)


def when(
    scheduled_at: datetime | None,
    message_class: int,
    window: Window | None,
    recipient: int,
    zone: ZoneInfo,
    now: datetime,
) -> When:
    """recipient: a number, as it is kept. zone: for recipients whose own is not known. A schedule that has passed is now."""
    start = now if scheduled_at is None or scheduled_at <= now else scheduled_at
    closes_at = None
    if message_class == MessageClass.MARKETING and window is not None:
        start, closes_at = opening(window, _zones(recipient) or (zone,), start)
    return When(scheduled_at, None if start == now else start, closes_at)


def opening(window: Window, zones: Zones, at: datetime) -> Opening:
    """The opening that `at` falls into, from then on; else the next one."""
    day = at.astimezone(zones[0]).date()
    while True:
        hours = _hours(window, zones, day)
        if hours is not None and hours.closes_at > at:
            return Opening(max(hours.opens_at, at), hours.closes_at)
        day += timedelta(days=1)


@lru_cache(maxsize=4096)
def _hours(window: Window, zones: Zones, day: date) -> Opening | None:
    """None for a day on which it stays closed."""
    if day.weekday() not in window.days or day in national_holidays(day.year):
        return None
    midnights = [datetime.combine(day, time(), zone) for zone in zones]
    all_open_at = max((at + timedelta(minutes=window.opens_min)).astimezone(UTC) for at in midnights)
    one_closes_at = min((at + timedelta(minutes=window.closes_min)).astimezone(UTC) for at in midnights)
    if all_open_at < one_closes_at:
        return Opening(all_open_at, one_closes_at)
    return _hours(window, zones[:1], day)  # narrower than the zones are apart: that of most people counts


@lru_cache(maxsize=1024)
def _of_names(names: tuple[str, ...]) -> Zones:
    return tuple(map(ZoneInfo, names))


def _zones(recipient: int) -> Zones:
    return _of_names(number.zone_names(recipient))
