"""What the overview and the reports show of an account's traffic, worked out of store/traffic.py's buckets."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from pombo.message import State
from pombo.store.traffic import DAY, Bucket

T = TypeVar("T")

_FAILED = frozenset({State.UNDELIVERED, State.EXPIRED, State.REJECTED})
_KEPT = 256
_SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_EDGE = 84, 34, 3


class Totals(NamedTuple):
    messages: int = 0  # CANCELLED ones are not counted: nobody sent them
    parts: int = 0
    delivered: int = 0
    failed: int = 0
    waiting: int = 0  # for their turn, or for their receipt
    cost_milli: int = 0  # what was given back is taken off

    def __add__(self, other: object) -> "Totals":
        assert isinstance(other, Totals)
        return Totals(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def rate(self) -> float | None:
        """Delivered among those whose fate is known, from 0 to 1."""
        ended = self.delivered + self.failed
        return self.delivered / ended if ended else None


def totals(buckets: Iterable[Bucket]) -> Totals:
    return sum((_of(bucket) for bucket in buckets), Totals())


def _of(bucket: Bucket) -> Totals:
    cost_milli = bucket.charged_milli - bucket.refunded_milli
    if bucket.state is State.CANCELLED:
        return Totals(cost_milli=cost_milli)
    messages = bucket.messages
    delivered = messages if bucket.state is State.DELIVERED else 0
    failed = messages if bucket.state in _FAILED else 0
    return Totals(messages, bucket.parts, delivered, failed, messages - delivered - failed, cost_milli)


def by_time(
    buckets: Sequence[Bucket], since: datetime, until: datetime, unit: str, zone: ZoneInfo
) -> list[tuple[datetime, Totals]]:
    """Every hour or day of the period, in local time, those without messages too."""
    found: dict[datetime, Totals] = {}
    for bucket in buckets:
        at = bucket.at.astimezone(zone)
        found[at] = found.get(at, Totals()) + _of(bucket)
    return [(at, found.get(at, Totals())) for at in _moments(since, until, unit, zone)]


def _moments(since: datetime, until: datetime, unit: str, zone: ZoneInfo) -> list[datetime]:
    at = since.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if unit == DAY:
        at = at.replace(hour=0)
    moments = []
    while at < until:
        moments.append(at)
        if unit == DAY:  # by the calendar, which the change to summer time does not shift
            at = at + timedelta(days=1)
        else:  # by the clock, which it does
            at = (at.astimezone(_UTC) + timedelta(hours=1)).astimezone(zone)
    return moments


_UTC = ZoneInfo("UTC")


def by_connection(buckets: Iterable[Bucket]) -> dict[int, Totals]:
    """By smsc_id, the busiest first."""
    return _by(buckets, lambda bucket: bucket.smsc_id)


def by_token(buckets: Iterable[Bucket]) -> dict[int, Totals]:
    """By token_id, 0 for what people sent; the busiest first."""
    return _by(buckets, lambda bucket: bucket.token_id)


def _by(buckets: Iterable[Bucket], key: Callable[[Bucket], int]) -> dict[int, Totals]:
    found: dict[int, Totals] = {}
    for bucket in buckets:
        found[key(bucket)] = found.get(key(bucket), Totals()) + _of(bucket)
    return dict(sorted(found.items(), key=lambda item: -item[1].messages))


def change(now: float | None, before: float | None) -> float | None:
    """By how much more, as a share of what was before; None where that makes no sense."""
    return now / before - 1 if now is not None and before else None


def spark(values: Sequence[float]) -> str:
    """The path of a small line through these values, as SVG's `d`; "" for fewer than two."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    wide = (_SPARK_WIDTH - 2 * _SPARK_EDGE) / (len(values) - 1)
    tall = _SPARK_HEIGHT - 2 * _SPARK_EDGE
    points = [
        (
            _SPARK_EDGE + place * wide,
            _SPARK_HEIGHT - _SPARK_EDGE - ((value - low) / (high - low) if high > low else 0) * tall,
        )
        for place, value in enumerate(values)
    ]
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)


class Kept:
    """Figures that were worked out a moment ago are shown again; whoever asks meanwhile waits for the same answer."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        now = self._clock()
        kept = self._kept.get(key)
        if (
            kept is None
            or kept[0] <= now
            or (kept[1].done() and (kept[1].cancelled() or kept[1].exception()))
        ):
            self._kept = (
                {k: v for k, v in self._kept.items() if v[0] > now}
                if len(self._kept) >= _KEPT
                else self._kept
            )
            kept = self._kept[key] = (now + self._seconds, asyncio.ensure_future(make()))
        result: T = await asyncio.shield(kept[1])
        return result
