from datetime import UTC, datetime
from typing import Any

import pytest

from pombo.callback.lane import BREAK_AFTER_FAILURES, CLAIM_ROWS, PROBE_ROWS, Lane, endpoint
from pombo.store.callbacks import EndpointRow, Job

ROW = EndpointRow(1, 1, "https://h.example/x", False, False, b"s")


def job(n: int, attempts: int = 0) -> Job:
    return Job(n, 1, 1, n, "2", "ref", "11999999999", "", datetime(2026, 1, 1, tzinfo=UTC), "", attempts)


@pytest.fixture
def lane() -> Lane:
    made = Lane((1, 1), 4, 32)
    made.endpoint = endpoint(ROW, bytes)
    return made


def put(lane: Lane, jobs: list[Job], expires: float) -> None:
    for one in jobs:
        lane.add(one, expires)


def begin_all(lane: Lane) -> list[int]:
    begun = []
    while (begins := lane.next(0.0)) is not None:
        begun.append(begins.callback_id)
    return begun


def test_first_attempts_begin_in_order_as_far_as_there_are_places(lane: Lane) -> None:
    put(lane, [job(n) for n in range(10)], 50.0)
    assert lane.has_next()
    assert begin_all(lane) == [0, 1, 2, 3]
    assert not lane.has_next()


def test_retries_have_places_of_their_own_and_take_none_of_first_attempts(lane: Lane) -> None:
    put(lane, [job(n, attempts=1) for n in range(100, 110)], 50.0)
    assert begin_all(lane) == [100]
    put(lane, [job(n) for n in range(10)], 50.0)
    assert begin_all(lane) == [0, 1, 2, 3]


def test_the_places_grow_while_it_answers_well_and_shrink_when_it_fails(lane: Lane) -> None:
    grown = []
    for _ in range(4 + 8 + 16 + 100):
        lane.fresh_in_flight += 1
        lane.ended(False, True, 0.01)
        grown.append(lane.cap)
    assert grown[3] == 8
    assert grown[11] == 16
    assert lane.cap == 32
    for cap in (16, 8, 4, 4):
        lane.fresh_in_flight += 1
        lane.ended(False, False, 0.01)
        assert lane.cap == cap


def test_slow_answers_earn_no_places(lane: Lane) -> None:
    for _ in range(100):
        lane.fresh_in_flight += 1
        lane.ended(False, True, 5.0)
    assert lane.cap == 4


def test_after_failures_in_a_row_one_probe_goes_at_a_time_until_one_succeeds(lane: Lane) -> None:
    put(lane, [job(n) for n in range(20)] + [job(n, 1) for n in range(20, 40)], 50.0)
    for _ in range(BREAK_AFTER_FAILURES):
        lane.fresh_in_flight += 1
        lane.ended(False, False, 0.01)
    assert lane.broken
    assert begin_all(lane) == [0]
    lane.ended(False, False, 0.01)
    assert begin_all(lane) == [1]
    lane.ended(False, True, 0.01)
    assert begin_all(lane) == [2, 3, 4, 5, 20]


def test_a_job_whose_lease_is_too_short_for_an_attempt_is_left_to_the_table(lane: Lane) -> None:
    put(lane, [job(1)], 50.0)
    put(lane, [job(2)], 60.0)
    begun = lane.next(50.0)
    assert begun is not None
    assert begun.callback_id == 2
    assert lane.more
    assert lane.in_flight == 1


def test_the_table_is_asked_for_much_while_it_answers_and_for_a_few_probes_while_not(lane: Lane) -> None:
    assert lane.room() == CLAIM_ROWS * 4
    put(lane, [job(n) for n in range(CLAIM_ROWS * 2 + 1)], 50.0)
    assert lane.room() == 0
    lane.fresh.clear()
    lane.failures = BREAK_AFTER_FAILURES
    assert lane.room() == PROBE_ROWS
    lane.endpoint = None
    assert lane.room() == 0


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (ROW._replace(url="http://a b/"), "URL not valid"),
        (ROW._replace(secret_sealed=b""), "secret cannot be unsealed"),
    ],
)
def test_a_row_that_cannot_be_used_says_so_instead_of_stopping_the_others(
    row: EndpointRow, error: str
) -> None:
    def unseal(sealed: bytes) -> bytes:
        if not sealed:
            raise ValueError
        return sealed

    made: Any = endpoint(row, unseal)
    assert made.error == error
    assert made.place is None
