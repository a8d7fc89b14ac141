"""How fast a connection may submit, on a clock of the test's own."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pombo.send.pace import SLOWEST_PER_S, Pace


def submit_for(pace: Pace, start_s: float, seconds: float, *, step_s: float = 0.001) -> int:
    """Take whatever is allowed, looking every step_s; returns how many were submitted."""
    taken, now = 0, start_s
    while now < start_s + seconds:
        allowed = pace.allowance(now) or 0
        pace.took(allowed, now)
        taken += allowed
        now += step_s
    return taken


@pytest.mark.parametrize("rate_per_s", [1, 7, 20, 100, 997])
def test_a_limited_connection_keeps_its_rate_within_five_percent_over_a_minute(rate_per_s):
    assert submit_for(Pace(rate_per_s, 0.0), 0.0, 60.0) == pytest.approx(60 * rate_per_s, rel=0.05, abs=1)


def test_a_late_look_loses_little():
    assert submit_for(Pace(100, 0.0), 0.0, 60.0, step_s=0.04) == pytest.approx(6000, rel=0.05)


def test_time_without_work_does_not_save_up_a_burst():
    pace = Pace(100, 0.0)
    assert pace.allowance(3600.0) <= 10


def test_without_a_limit_the_window_alone_decides():
    assert Pace(0, 0.0).allowance(1.0) is None


def test_throttling_halves_the_pace_at_most_once_a_second():
    pace = Pace(400, 0.0)
    submit_for(pace, 0.0, 1.0)
    for _ in range(50):
        pace.throttled(1.0)
    assert pace.rate_per_s == pytest.approx(200, rel=0.1)
    pace.throttled(1.9)
    assert pace.rate_per_s == pytest.approx(200, rel=0.1)
    pace.throttled(2.1)
    assert pace.rate_per_s == pytest.approx(100, rel=0.1)


def test_the_pace_never_falls_below_the_slowest():
    pace = Pace(400, 0.0)
    for second in range(1, 60):
        pace.throttled(second * 1.5)
    assert pace.rate_per_s == SLOWEST_PER_S


def test_an_unlimited_connection_that_is_throttled_halves_what_it_measured():
    pace = Pace(0, 0.0)
    for step in range(100):
        pace.took(10, step / 100)  # 1000 a second
    pace.throttled(1.0)
    assert pace.rate_per_s == pytest.approx(500, rel=0.05)


def test_the_pace_recovers_by_a_tenth_a_second_up_to_the_limit():
    pace = Pace(100, 0.0)
    pace.throttled(0.5)
    assert pace.rate_per_s == 50
    pace.allowance(0.5)
    pace.allowance(1.5)
    assert pace.rate_per_s == pytest.approx(55)
    pace.allowance(60.0)
    assert pace.rate_per_s == 100


def test_an_unlimited_connection_is_unlimited_again_in_the_end():
    pace = Pace(0, 0.0)
    pace.took(100, 0.0)
    pace.throttled(1.0)
    assert pace.allowance(1.1) is not None
    pace.allowance(200.0)
    assert pace.allowance(200.1) is None


@given(
    st.floats(0.5, 5000),
    st.lists(st.floats(0.0, 0.09), min_size=1, max_size=50),
    st.lists(st.floats(0.0, 0.03), min_size=1, max_size=50),
)
@example(10.0, [0.09], [0.0])
@example(10.0, [0.0], [0.1])  # each claim takes as long as the pause between two
def test_whatever_the_rate_and_however_late_the_looks_a_minute_is_exact_within_five_percent(
    rate_per_s, late_s, claims_s
):
    """As a bind works: it looks, claims, submits, and sleeps for as long as it is told, or somewhat longer."""
    pace, now, taken = Pace(rate_per_s, 0.0), 0.0, 0
    late, claim = itertools.cycle(late_s), itertools.cycle(claims_s)
    while now < 60:
        allowed = pace.allowance(now) or 0
        if allowed:
            now += next(claim)
            pace.took(allowed, now)
            taken += allowed
        else:
            now += max(0.001, pace.delay_s()) + next(late)
    assert taken == pytest.approx(60 * rate_per_s, rel=0.05, abs=1.01)


def test_less_than_one_a_second_comes_evenly():
    pace, at = Pace(0.5, 0.0), []
    for step in range(60_000):
        now = step / 1000
        if allowed := pace.allowance(now):
            pace.took(allowed, now)
            at += [now] * allowed
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert min(pauses[1:]) == pytest.approx(2.0, abs=0.1) and len(at) in (30, 31)


def test_another_limit_counts_at_once_and_what_was_slowed_recovers_towards_it():
    pace = Pace(100, 0.0)
    pace.limit(400, 1.0)
    assert submit_for(pace, 1.0, 10.0) == pytest.approx(4000, rel=0.05)
    pace.throttled(11.0)
    assert pace.rate_per_s == pytest.approx(200, rel=0.1)
    pace.limit(1000, 11.0)
    assert pace.rate_per_s == pytest.approx(200, rel=0.1)
    pace.limit(50, 11.0)
    assert pace.rate_per_s == 50
    pace.limit(0, 11.0)
    assert submit_for(pace, 11.0, 1.0) <= 60  # it still recovers
    assert Pace(0, 0.0).allowance(1.0) is None


def test_a_connection_without_a_limit_takes_one_at_once():
    pace = Pace(0, 0.0)
    pace.limit(20, 1.0)
    assert pace.rate_per_s == 20 and submit_for(pace, 1.0, 10.0) == pytest.approx(200, rel=0.05)
