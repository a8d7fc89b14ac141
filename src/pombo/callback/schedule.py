"""When a failed callback is tried again. Pure: age, jitter and time are arguments."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The pause before each attempt, after the one before it: 11 attempts in about 24 hours.
PAUSES_S = (0.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 28_800.0)
JITTER = 0.2
LIMIT_S = 24 * 3600.0


def pause_s(
    attempts: int, age_s: float, jitter: Callable[[], float], retry_after_s: float | None = None
) -> float | None:
    """Seconds until the next attempt; None when the callback is to be parked.

    attempts: those that have failed (1 or more). age_s: since the callback was first due. jitter: gives a
    number from 0 to 1, for example random.random. retry_after_s: what the receiver asked for; it prolongs the
    pause as far as the next step of the schedule, no further. No attempt is planned later than 24 hours after
    the first.
    """
    if attempts >= len(PAUSES_S) or age_s >= LIMIT_S:
        return None
    pause = PAUSES_S[attempts] * (1 - JITTER + 2 * JITTER * jitter())
    if retry_after_s is not None:
        pause = max(pause, min(retry_after_s, PAUSES_S[min(attempts + 1, len(PAUSES_S) - 1)]))
    return min(pause, LIMIT_S - age_s)


def read_retry_after_s(value: str, now: datetime) -> float | None:
    """The header `Retry-After` in seconds (RFC 9110 §10.2.3: a number or a date); None when it is neither.

    now: aware.
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000": a date whose zone is not known, by HTTP always UTC
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
