from datetime import UTC, datetime

import pytest

from pombo.callback.schedule import LIMIT_S, PAUSES_S, pause_s, read_retry_after_s


def middle() -> float:
    return 0.5


def test_the_pauses_grow_as_promised_and_then_the_callback_is_parked() -> None:
    pauses, age_s = [], 0.0
    for attempts in range(1, 100):
        pause = pause_s(attempts, age_s, middle)
        if pause is None:
            break
        pauses.append(pause)
        age_s += pause
    assert pauses == [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800]
    assert LIMIT_S - 1800 < age_s <= LIMIT_S


def test_jitter_moves_a_pause_by_a_fifth_at_most() -> None:
    assert pause_s(2, 5, lambda: 0.0) == pytest.approx(24)
    assert pause_s(2, 5, lambda: 1.0) == pytest.approx(36)


def test_with_the_longest_pauses_the_last_attempt_is_still_within_a_day() -> None:
    age_s, attempts = 0.0, 1
    while (pause := pause_s(attempts, age_s, lambda: 1.0)) is not None:
        age_s += pause
        attempts += 1
    assert age_s == LIMIT_S


def test_a_callback_older_than_a_day_is_parked_after_its_attempt() -> None:
    assert pause_s(1, LIMIT_S, middle) is None
    assert pause_s(1, LIMIT_S - 1, middle) == 1


def test_retry_after_prolongs_a_pause_no_further_than_the_next_step() -> None:
    assert pause_s(1, 0, middle, retry_after_s=20) == 20
    assert pause_s(1, 0, middle, retry_after_s=3600) == 30
    assert pause_s(1, 0, middle, retry_after_s=1) == 5
    assert pause_s(len(PAUSES_S) - 1, 100, middle, retry_after_s=1e9) == 28_800


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 0 ", 0), ("Sun, 22 Nov 2026 10:01:00 GMT", 60), ("Sun, 22 Nov 2026 09:00:00 GMT", 0),
        ("Sunday, 22-Nov-26 10:01:00 GMT", 60), ("999999999999999999999", 999_999_999),
        ("", None), ("-5", None), ("1.5", None), ("soon", None), ("٣", None),
        ("Sun, 99 Nov 2026 10:01:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert read_retry_after_s(value, datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)) == seconds
