"""Several binds of one connection: they share its pace and its work, and none depends on another."""

import asyncio
import itertools

import asyncpg
import pytest

from pombo.message import State
from pombo.send import link as links
from pombo.smpp.status import Status
from pombo.store import queue

pytestmark = pytest.mark.anyio

NUMBER = 5511999999999


async def standing(place):
    return await place.db.fetchrow("select bound, down_since from link")


async def stands(place, bound, down):
    async def there():
        row = await standing(place)
        return row and (row["bound"], row["down_since"] is not None) == (bound, down)

    await place.until(there)


async def test_every_bind_has_a_window_of_its_own(office):
    place = await office(start=False, window_size=3, binds=3)
    for _ in range(20):
        await place.accept()
    place.start()
    came = [await place.operator.submit_and_peer() for _ in range(9)]
    peers = [peer for _, _, peer in came]
    assert sorted(peers.count(peer) for peer in set(peers)) == [3, 3, 3]
    assert place.operator.submits.empty()
    assert await place.db.fetchval("select count(*) from queue where state = 1") == 9
    assert await place.db.fetchval("select count(*) from session where bound_at is not null") == 3
    figures = place.link.figures()
    assert (figures.bound, figures.binds, figures.in_flight, figures.window) == (3, 3, 9, 9)
    _, sequence, peer = came[0]
    peer.answer(sequence, b"1")
    assert (await place.operator.submit_and_peer())[2] is peer


async def test_losing_one_bind_leaves_the_others_working(office):
    place = await office(binds=2, window_size=1)
    first, second = await place.operator.stand(2)
    await stands(place, 2, False)
    lost = await place.accept()
    _, _, peer = await place.operator.submit_and_peer()
    peer.transport.abort()
    _, sequence, other = await place.operator.submit_and_peer()  # again, by what still stands
    assert other is not peer and other in (first, second)
    other.answer(sequence, b"1")
    await place.reaches(lost, 1)
    assert await place.attempts(lost) == [(1, 1, 0), (1, 2, 1)]
    await place.operator.stand(2)  # and the lost one comes back
    await stands(place, 2, False)


async def test_a_refused_extra_bind_disturbs_none_that_stands(office, monkeypatch):
    monkeypatch.setattr(links, "_pause_s", lambda failures, refused: 0.01)
    place = await office(start=False, binds=3)
    refusals = itertools.cycle([Status.ESME_RBINDFAIL, Status.ESME_RALYBND])
    place.operator.bind_statuses = [0, *(next(refusals) for _ in range(1000))]
    place.start()

    async def refused_often():
        return len(place.operator.binds) > 10

    await place.until(refused_often)
    message_id = await place.accept()
    _, sequence, peer = await place.operator.submit_and_peer()
    assert [peer] == place.operator.standing
    peer.answer(sequence, b"1")
    await place.reaches(message_id, 1)
    assert place.link.figures().bound == 1
    place.operator.bind_statuses = []  # the operator changes its mind
    await place.operator.stand(3)
    assert peer in place.operator.standing


async def test_while_nothing_stands_only_one_bind_tries(office, monkeypatch):
    """Wrong credentials that all of them try would get the account locked."""
    monkeypatch.setattr(links, "_pause_s", lambda failures, refused: 0.01)
    place = await office(start=False, binds=8)
    connected = []
    serve = links.Bind.serve

    async def counted(self):
        connected.append(self)
        try:
            return await serve(self)
        finally:
            connected.remove(self)

    most = 0
    monkeypatch.setattr(links.Bind, "serve", counted)
    place.operator.bind_statuses = [Status.ESME_RINVPASWD] * 30
    place.start()
    while place.operator.bind_statuses:
        most = max(most, len(connected))
        await asyncio.sleep(0)
    assert most == 1
    await place.operator.stand(8)


async def test_a_pair_submits_on_the_transmitter_and_takes_receipts_on_the_receiver(office):
    place = await office(bind_mode="pair")
    peers = {peer.command: peer for peer in await place.operator.stand(2)}
    message_id = await place.accept()
    _, sequence, peer = await place.operator.submit_and_peer()
    assert peer is peers["bind_transmitter"]
    peer.answer(sequence, b"7")
    await place.reaches(message_id, 1)
    place.operator.receipt("7", NUMBER, to=peers["bind_receiver"])
    await place.reaches(message_id, 3)
    assert place.link.figures().window == place.smsc.window_size  # the receiver's is none


async def test_an_early_receipt_on_the_receiver_settles_no_older_attempt(office):
    """Its submit is still in flight on the transmitter: in flight anywhere counts."""
    place = await office(start=False, bind_mode="pair", uncertain_policy="hold")
    place.start()
    peers = {peer.command: peer for peer in await place.operator.stand(2)}
    held = await place.accept()
    await place.operator.submit()
    peers["bind_transmitter"].transport.abort()
    await place.reaches(held, 2)
    peers = {peer.command: peer for peer in await place.operator.stand(2)}
    second = await place.accept()
    _, sequence, transmitter = await place.operator.submit_and_peer()
    place.operator.receipt("8", NUMBER, to=peers["bind_receiver"])
    assert await place.operator.delivery_answers(1) == [0]
    assert (await place.message(held))["state"] == 2
    transmitter.answer(sequence, b"8")
    await place.reaches(second, 3)
    assert (await place.message(held))["state"] == 2


async def test_a_pair_without_its_transmitter_is_down(office, monkeypatch):
    monkeypatch.setattr(links, "_pause_s", lambda failures, refused: 0.01)
    place = await office(bind_mode="pair")
    peers = {peer.command: peer for peer in await place.operator.stand(2)}
    await stands(place, 2, False)
    place.operator.bind_statuses = [Status.ESME_RBINDFAIL] * 10_000
    peers["bind_transmitter"].transport.abort()
    await stands(place, 1, True)
    place.operator.bind_statuses = []
    await stands(place, 2, False)
    await place.stop()
    await stands(place, 0, True)


async def test_a_connection_that_never_came_up_is_down_since_its_first_try(office):
    place = await office(start=False)
    place.operator.bind_statuses = [Status.ESME_RINVPASWD]
    place.start()
    await stands(place, 0, True)


async def test_the_rate_is_that_of_all_binds_together(office):
    """A burst's worth goes at once; then the pace counts, however many windows have room."""
    place = await office(start=False, binds=4, window_size=50, rate_per_s=100)
    for _ in range(60):
        await place.accept()
    place.start()
    await place.operator.stand(4)
    loop = asyncio.get_running_loop()
    came = []
    while len(came) < 40:
        await place.operator.submit_and_peer()
        came.append(loop.time())
    # 40 at 100 a second, less what may be saved up: 1 + 0.25 s' worth while there is work
    assert came[-1] - came[0] >= (40 - 26) / 100
    assert place.link.figures().submitted >= 40


async def test_stopping_leaves_every_bind_in_order(office):
    place = await office(binds=2, bind_mode="pair")
    await place.operator.stand(4)
    messages = [await place.accept() for _ in range(5)]
    submits = [await place.operator.submit_and_peer() for _ in messages]
    stopping = asyncio.create_task(place.stop())
    await asyncio.sleep(0)
    for n, (_, sequence, peer) in enumerate(submits):
        peer.answer(sequence, b"%d" % n)
    await stopping
    for message_id in messages:
        assert await place.attempts(message_id) == [(1, 1, 1)]
    assert await place.db.fetchval("select count(*) from session where ended_at is null") == 0
    assert sum(type(event).__name__ == "Unbound" for event in place.operator.others) == 4


async def test_binds_that_wait_for_their_connection_s_lock_leave_the_pool_to_others(office, database_url):
    """Else a look that takes long in one connection would keep the platform from accepting messages."""
    place = await office(binds=12, window_size=1)
    peers = await place.operator.stand(12)
    messages = [await place.accept(5511900000000 + n) for n in range(12)]
    submits = [await place.operator.submit_and_peer() for _ in messages]
    assert {peer for _, _, peer in submits} == set(peers)
    for n, (_, sequence, peer) in enumerate(submits):
        peer.answer(sequence, b"%d" % n)
    for message_id in messages:
        await place.leaves_the_queue(message_id)
    look = await asyncpg.connect(database_url)
    await look.execute(queue.lock_of(place.smsc.id))
    try:
        for n, (_, _, peer) in enumerate(submits):
            place.operator.receipt(str(n), 5511900000000 + n, to=peer)

        async def all_commit() -> bool:
            settlements = [session._settlement for session in place.link._flow.sessions]
            return sum(s._deliveries_turn.locked() and not s.deliveries for s in settlements) == 12

        await place.until(all_commit)
        async with asyncio.timeout(5):
            assert await place.db.fetchval("select 1") == 1
    finally:
        await look.close()
    for message_id in messages:
        await place.reaches(message_id, State.DELIVERED)
