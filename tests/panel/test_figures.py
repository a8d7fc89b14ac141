"""Figures out of buckets: rates of what is known, every hour and day of a period, and none worked out twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pombo.message import State
from pombo.panel import figures
from pombo.panel.figures import Totals
from pombo.store.traffic import DAY, HOUR, Bucket

_ZONE = ZoneInfo("America/Sao_Paulo")
_MIDNIGHT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # in São Paulo
_HOUR = timedelta(hours=1)


def bucket(hours: int, state: State, messages: int, smsc_id: int = 1, refunded_milli: int = 0) -> Bucket:
    return Bucket(
        _MIDNIGHT + hours * _HOUR, smsc_id, state, messages, messages * 2, messages * 160, refunded_milli
    )


def test_the_rate_is_of_those_whose_fate_is_known() -> None:
    of = figures.totals(
        [
            bucket(1, State.DELIVERED, 6),
            bucket(1, State.UNDELIVERED, 1),
            bucket(2, State.REJECTED, 1, refunded_milli=160),
            bucket(2, State.SUBMITTED, 5),
            bucket(2, State.CANCELLED, 9, refunded_milli=9 * 160),
        ]
    )
    assert of == Totals(13, 26, 6, 2, 5, 12 * 160)
    assert of.rate == 0.75
    assert figures.totals([bucket(1, State.WAITING, 1)]).rate is None


def test_hours_and_days_without_messages_are_shown_too() -> None:
    hours = figures.by_time(
        [bucket(1, State.DELIVERED, 2), bucket(1, State.SUBMITTED, 1), bucket(3, State.DELIVERED, 4)],
        _MIDNIGHT, _MIDNIGHT + 4 * _HOUR, HOUR, _ZONE,
    )  # fmt: skip
    assert [(at.hour, of.messages) for at, of in hours] == [(0, 0), (1, 3), (2, 0), (3, 4)]
    days = figures.by_time([bucket(0, State.DELIVERED, 2)], _MIDNIGHT, _MIDNIGHT + 30 * _HOUR, DAY, _ZONE)
    assert [(at.day, of.messages) for at, of in days] == [(22, 2), (23, 0)]


@pytest.mark.parametrize(("unit", "count"), [(DAY, 3), (HOUR, 71)])
def test_the_change_to_summer_time_loses_no_day_and_no_hour(unit: str, count: int) -> None:
    zone = ZoneInfo(
        "America/Sao_Paulo"
    )  # which last had one in 2018: 3 November's last hour was followed by 1:00
    since = datetime(2018, 11, 3, tzinfo=zone)
    moments = figures.by_time([], since, datetime(2018, 11, 6, tzinfo=zone), unit, zone)
    assert len({at for at, _ in moments}) == len(moments) == count


def test_connections_come_by_how_busy_they_are() -> None:
    of = figures.by_connection([bucket(1, State.DELIVERED, 2, 7), bucket(1, State.DELIVERED, 5, 3)])
    assert list(of) == [3, 7]


def test_a_change_is_a_share_of_what_was_before() -> None:
    assert figures.change(110, 100) == pytest.approx(0.1)
    assert figures.change(1, 0) is None
    assert figures.change(None, 2) is None


def test_a_small_line_stays_in_its_box() -> None:
    assert figures.spark([1]) == ""
    assert figures.spark([0, 10, 5]) == "M3.0,31.0 L42.0,3.0 L81.0,17.0"
    assert figures.spark([4, 4]) == "M3.0,31.0 L81.0,31.0"


@pytest.mark.anyio
async def test_figures_are_worked_out_once_for_all_who_ask_within_a_while() -> None:
    now = 0.0
    kept = figures.Kept(60, clock=lambda: now)
    made: list[int] = []

    async def make() -> int:
        made.append(len(made))
        await asyncio.sleep(0)
        return made[-1]

    assert await asyncio.gather(*(kept.get("a", make) for _ in range(3))) == [0, 0, 0]
    assert await kept.get("b", make) == 1
    now = 59
    assert await kept.get("a", make) == 0
    now = 61
    assert await kept.get("a", make) == 2


@pytest.mark.anyio
async def test_figures_that_could_not_be_had_are_asked_for_again() -> None:
    kept = figures.Kept(60)
    tries = 0

    async def make() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("gone")
        return tries

    with pytest.raises(OSError):
        await kept.get("a", make)
    assert await kept.get("a", make) == 2
