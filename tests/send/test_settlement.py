"""What a link has learned reaches the database, whatever is in the way there."""

import asyncpg
import pytest
import structlog

from pombo.errors import Unavailable
from pombo.store import queue

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("in_the_way", [asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError])
async def test_an_outcome_waits_for_a_lock_that_somebody_holds(office, monkeypatch, in_the_way):
    """PostgreSQL ended our transaction and not the other one: nothing is wrong with what it wrote. Were it taken for a
    value that cannot be written, the message would stay `writing`, and its operator's id be forgotten."""
    place = await office()
    written = queue.commit_results
    refusals = [in_the_way("somebody holds a lock") for _ in range(2)]

    async def commit_results(*args, **how):
        if refusals:
            raise refusals.pop()
        return await written(*args, **how)

    monkeypatch.setattr(queue, "commit_results", commit_results)
    message_id = await place.accept()
    _, sequence = await place.operator.submit()

    place.operator.answer(sequence, b"ABC1")

    await place.reaches(message_id, 1)
    assert refusals == []
    assert await place.attempts(message_id) == [(1, 1, 1)]
    assert await place.db.fetchval("select smsc_message_id from attempt") == "ABC1"


async def test_results_are_written_once_more_where_the_answer_to_their_commit_was_lost(office, monkeypatch):
    """They are there already, and that is no fault of anybody's: those who look after the platform read nothing of it."""
    place = await office()
    written, lost = queue.commit_results, [Unavailable("the answer was lost")]

    async def commit_results(*args, **how):
        early = await written(*args, **how)
        if lost:
            raise lost.pop()
        return early

    monkeypatch.setattr(queue, "commit_results", commit_results)
    message_id = await place.accept()
    _, sequence = await place.operator.submit()

    with structlog.testing.capture_logs() as logs:
        place.operator.answer(sequence, b"ABC1")
        await place.reaches(message_id, 1)
        await place.stop()

    assert lost == []
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []
    assert await place.attempts(message_id) == [(1, 1, 1)]
    assert await place.db.fetchval("select count(*) from queue") == 0
