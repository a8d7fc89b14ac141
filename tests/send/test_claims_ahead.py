"""An operator that answers a full window at once has the next ones claimed for it before the answers are there."""

import pytest

from pombo.send import submit

pytestmark = pytest.mark.anyio

WINDOW = 20


async def filled(office, windows: int, **settings):
    place = await office(start=False, window_size=WINDOW, **settings)
    for n in range(windows * WINDOW):
        await place.accept(number=5511900000000 + n)
    return place


@pytest.fixture
async def place(office):
    return await filled(office, 5)


async def window_of_submits(place) -> list[int]:
    return [(await place.operator.submit())[1] for _ in range(WINDOW)]


def answer(place, sequences: list[int]) -> None:
    for sequence in sequences:
        place.operator.answer(sequence, b"%d" % sequence)


async def claimed(place) -> int:
    count: int = await place.db.fetchval("select count(*) from queue where state = 1")
    return count


async def more_than_a_window_is_claimed(place, taken: int) -> None:
    """taken: submits that were answered; once that is committed they are claimed no more."""

    async def more():
        committed = await place.db.fetchval("select count(*) = $1 from attempt", taken)
        return committed and await claimed(place) > WINDOW

    await place.until(more)


async def all_are_taken(place) -> None:
    async def the_queue_is_empty():
        return await place.db.fetchval("select count(*) = 0 from queue")

    await place.until(the_queue_is_empty)
    assert place.operator.submits.empty()


async def test_where_a_person_decides_up_to_two_windows_are_claimed_and_one_is_sent(office, monkeypatch):
    """Each of them is uncertain after a crash."""
    monkeypatch.setattr(submit, "_AT_ONCE_S", 60.0)
    place = await filled(office, 5, uncertain_policy="hold")
    place.start()
    sent = await window_of_submits(place)
    for turn in range(1, 4):
        answer(place, sent)
        sent = await window_of_submits(place)
        await more_than_a_window_is_claimed(place, turn * WINDOW)
        assert await claimed(place) <= 2 * WINDOW
        assert place.operator.submits.empty()
    answer(place, sent)
    answer(place, await window_of_submits(place))
    await all_are_taken(place)


async def test_up_to_two_windows_are_claimed_beside_the_one_that_is_sent(office, monkeypatch):
    """After a crash these go again, and nobody gets them twice: they never went out."""
    monkeypatch.setattr(submit, "_AT_ONCE_S", 60.0)
    place = await filled(office, 9)
    place.start()
    sent = await window_of_submits(place)
    for turn in range(1, 6):
        answer(place, sent)
        sent = await window_of_submits(place)

        async def two_more_are_claimed(turn=turn):
            committed = await place.db.fetchval("select count(*) = $1 from attempt", turn * WINDOW)
            return committed and 2.5 * WINDOW < await claimed(place) <= 3 * WINDOW

        await place.until(two_more_are_claimed)
        assert place.operator.submits.empty()
    for _ in range(3):
        answer(place, sent)
        sent = await window_of_submits(place)
    answer(place, sent)
    await all_are_taken(place)


async def test_one_that_takes_its_time_has_nothing_claimed_ahead(place, monkeypatch):
    """A code would wait behind it."""
    monkeypatch.setattr(submit, "_AT_ONCE_S", 0.0)
    place.start()
    answer(place, await window_of_submits(place))
    second = await window_of_submits(place)

    async def first_window_is_committed():
        return await place.db.fetchval("select count(*) = $1 from attempt", WINDOW)

    await place.until(first_window_is_committed)
    assert await claimed(place) == WINDOW
    answer(place, second)
    await window_of_submits(place)


async def test_what_was_claimed_ahead_waits_again_when_the_connection_breaks(place, monkeypatch):
    """As if nobody had claimed it: it never went out, and is no attempt."""
    monkeypatch.setattr(submit, "_AT_ONCE_S", 60.0)
    place.start()
    answer(place, await window_of_submits(place))
    await window_of_submits(place)

    await more_than_a_window_is_claimed(place, WINDOW)
    place.operator.stop()

    async def nothing_is_claimed():
        return await claimed(place) == 0

    await place.until(nothing_is_claimed)
    await place.stop()
    waiting = await place.db.fetch(
        "select attempts, count(*) from queue where state = 0 group by 1 order by 1"
    )
    assert [tuple(row) for row in waiting] == [(0, 3 * WINDOW), (1, WINDOW)]  # the one that was sent
    assert await place.db.fetchval("select count(*) from attempt where state = 0") == WINDOW
