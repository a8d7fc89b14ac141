"""Results are committed while receipts are, and neither passes the other unseen, whichever is committed first."""

import asyncpg
import pytest

from pombo.message import AttemptState, State
from pombo.store import queue, receipts

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999


async def on_two_binds(office):
    """A submit that waits for its answer, the peer that got it, and the other peer."""
    place = await office(binds=2)
    peers = await place.operator.stand(2)
    message_id = await place.accept(NUMBER)
    _, sequence, peer = await place.operator.submit_and_peer()
    return place, message_id, sequence, peer, next(other for other in peers if other is not peer)


async def parked(place):
    return await place.db.fetchval("select count(*) from parked_receipt")


async def test_results_do_not_wait_for_whoever_has_the_connection_s_lock(office, database_url):
    place = await office()
    message_id = await place.accept(NUMBER)
    _, sequence = await place.operator.submit()
    other = await asyncpg.connect(database_url)
    try:
        await other.execute(queue.lock_of(place.smsc.id))
        place.operator.answer(sequence, b"1")
        await place.leaves_the_queue(message_id)
    finally:
        await other.close()


async def test_a_receipt_that_is_parked_while_its_result_is_being_committed_counts(office, database_url):
    place, message_id, sequence, peer, other_peer = await on_two_binds(office)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute(
            "begin; select from message for update"
        )  # the result stops here, its snapshot taken
        peer.answer(sequence, b"1")

        async def waits():
            return await other.fetchval("select count(*) from pg_locks where not granted")

        await place.until(waits)
        place.operator.receipt("1", NUMBER, to=other_peer)

        async def is_parked():
            return await parked(place)

        await place.until(is_parked)
    finally:
        await other.close()
    await place.reaches(message_id, State.DELIVERED)
    assert await parked(place) == 0


async def test_a_receipt_that_looked_before_its_result_and_parks_after_it_counts(office, database_url):
    place, message_id, sequence, peer, other_peer = await on_two_binds(office)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("begin; lock table parked_receipt in share mode")  # it looks, and then stops here
        place.operator.receipt("1", NUMBER, to=other_peer)

        async def waits():
            return await other.fetchval("select count(*) from pg_locks where not granted")

        await place.until(waits)
        peer.answer(sequence, b"1")
        await place.leaves_the_queue(message_id)
    finally:
        await other.close()
    await place.reaches(message_id, State.DELIVERED)
    assert await parked(place) == 0


async def test_it_settles_no_older_attempt_at_its_handset_when_its_result_comes_in_between(
    office, monkeypatch
):
    place, message_id, sequence, peer, other_peer = await on_two_binds(office)
    older = await place.accept(NUMBER)
    _, again, older_peer = await place.operator.submit_and_peer()
    older_peer.answer(again, b"older")
    await place.leaves_the_queue(older)
    await place.db.execute(
        "update attempt set state = 0, smsc_message_id = null, smsc_key = null where message_id = $1", older
    )
    look = receipts.attempts_by_key

    async def look_and_let_the_result_pass(*args):
        found = await look(*args)
        monkeypatch.setattr(receipts, "attempts_by_key", look)
        peer.answer(sequence, b"1")
        await place.leaves_the_queue(message_id)
        return found

    monkeypatch.setattr(receipts, "attempts_by_key", look_and_let_the_result_pass)
    place.operator.receipt("1", NUMBER, to=other_peer)
    await place.reaches(message_id, State.DELIVERED)
    assert [state for *_, state in await place.attempts(older)] == [AttemptState.UNCERTAIN]
