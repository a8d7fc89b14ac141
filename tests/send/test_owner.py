"""Who owns a connection: leases are taken, renewed, lost, given up and shared out; and what an owner of before may do."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from pombo.message import AttemptState
from pombo.send.owner import Lease, Owner, now_s
from pombo.store import leases, nodes, queue, sessions, smscs
from pombo.store.database import Database
from pombo.store.queue import Attempt, Ending, Retry
from rows import claim

pytestmark = pytest.mark.anyio

LEASE_S = 1.0


class Party:
    """A node, as far as leases go: its owner, and what that told it."""

    def __init__(self, db: Database, lease_s: float = LEASE_S) -> None:
        self.holder = uuid.uuid4()
        self.gained: list[int] = []
        self.lost: list[int] = []
        self.given_up: list[int] = []
        self.served: set[int] = set()
        self.db = db
        self.owner = Owner(
            db,
            self.holder,
            gained=self._gained,
            lost=self.lost.extend,
            give_up=self._give_up,
            served=self.served.__contains__,
            lease_s=lease_s,
            margin_s=lease_s / 2,
        )

    async def _gained(self, smsc_ids: list[int]) -> None:
        self.gained += smsc_ids

    async def _give_up(self, smsc_id: int) -> None:
        self.given_up.append(smsc_id)
        await self.owner.release(smsc_id)

    async def start(self) -> "Party":
        await nodes.lease_number(self.db, self.holder, ["send"])
        await self.owner.start()
        return self

    def die(self) -> None:
        """As kill -9 does: nothing is said to anybody."""
        for task in (*self.owner._tasks, self.owner._looking):
            assert task is not None
            task.cancel()


@pytest.fixture
async def parties(database: Database):
    made: list[Party] = []

    def party(db: Database = database, lease_s: float = LEASE_S) -> Party:
        made.append(Party(db, lease_s))
        return made[-1]

    yield party
    for one in made:
        await one.owner.stop()


async def connections(db: Database, count: int) -> list[int]:
    return [await smscs.add_smsc(db, f"op{n}", "127.0.0.1", 2775, "id", b"pw") for n in range(1, count + 1)]


async def until(true: Callable[[], Any], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.005)


async def test_only_one_of_two_nodes_owns_a_connection_and_it_keeps_it(parties, database):
    await connections(database, 1)
    first = await parties().start()
    epoch = first.owner.owned[1].epoch
    second = await parties().start()
    ends_at = first.owner.owned[1].ends_at
    await until(lambda: first.owner.owned[1].ends_at > ends_at + 2 * LEASE_S)  # renewed, again and again
    assert second.gained == []
    assert first.lost == []
    assert first.owner.owned[1].epoch == epoch
    assert first.owner.owned[1].may_write()


async def test_the_connection_of_a_dead_node_is_taken_over_when_its_lease_ends(parties, database):
    await connections(database, 1)
    first, second = await parties().start(), await parties().start()
    first.die()
    died_at = time.monotonic()
    await until(lambda: second.gained == [1])
    assert time.monotonic() - died_at <= 1.5 * LEASE_S
    assert second.owner.owned[1].epoch == first.owner.owned[1].epoch + 1
    assert not first.owner.owned[1].may_write()


async def test_the_owner_of_before_stops_writing_well_before_another_may_begin(parties, database):
    await connections(database, 1)
    first = await parties(lease_s=2.0).start()
    first.die()
    lease = first.owner.owned[1]
    await until(lambda: not lease.may_write())
    left_s = await database.fetchval("select extract(epoch from lease_until - now())::float8 from lease")
    assert 0.8 < left_s <= 1.1


async def test_a_node_that_stops_hands_its_connections_over_at_once(parties, database):
    await connections(database, 3)
    first, second = await parties(lease_s=60.0).start(), await parties(lease_s=60.0).start()
    assert sorted(first.owner.owned) == [1, 2, 3]
    await nodes.retire(database, first.holder)
    await first.owner.stop()
    second.owner.look()  # what the NOTIFY of a release does
    await until(lambda: sorted(second.gained) == [1, 2, 3], timeout_s=5)


async def test_a_release_is_told_to_the_other_nodes(parties, database, database_url):
    await connections(database, 1)
    first = await parties().start()
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    await listener.add_listener("pombo_change", lambda *a: heard.put_nowait(a[3]))
    await first.owner.release(1)
    async with asyncio.timeout(5):
        assert await heard.get() == "lease"
    await listener.close()


async def test_nodes_share_the_connections_and_none_is_left_over(parties, database):
    first, second = await parties().start(), await parties().start()
    await connections(database, 5)
    first.owner.look()
    second.owner.look()
    await until(lambda: len(first.owner.owned) + len(second.owner.owned) == 5)
    assert {len(first.owner.owned), len(second.owner.owned)} == {2, 3}
    second.die()
    await until(lambda: len(first.owner.owned) == 5)


async def test_a_node_that_comes_later_is_given_its_share_and_then_nothing_moves(parties, database):
    await connections(database, 4)
    first = await parties(lease_s=0.3).start()
    assert len(first.owner.owned) == 4
    second = await parties(lease_s=0.3).start()
    await until(lambda: len(second.owner.owned) == 2)
    first.given_up.clear()
    second.gained.clear()
    epochs = {smsc_id: lease.epoch for smsc_id, lease in first.owner.owned.items()}
    ends_at = first.owner.owned[1].ends_at
    await until(
        lambda: first.owner.owned[1].ends_at > ends_at + 3.0
    )  # longer than a move would take to begin
    assert (first.given_up, second.gained, first.lost) == ([], [], [])
    assert {smsc_id: lease.epoch for smsc_id, lease in first.owner.owned.items()} == epochs


async def test_a_restarted_node_takes_its_own_back_at_once_and_what_it_was_writing_is_uncertain(
    parties, office
):
    place = await office(start=False)
    message_id = await place.accept()
    (claimed,) = await claim(place.db, place.smsc.id, await place.session(), 1)
    again = parties(place.db)
    again.holder = again.owner._holder = place.holder
    await again.start()
    assert again.gained == [place.smsc.id]
    assert again.owner.owned[place.smsc.id].epoch == place.leases[place.smsc.id].epoch + 1
    assert await place.attempts(message_id) == [(1, claimed.n, AttemptState.UNCERTAIN)]
    assert (await place.queued(message_id))["state"] == 0


async def test_a_connection_is_not_taken_back_before_its_last_session_has_ended(parties, database):
    await connections(database, 1)
    party = parties()
    party.served.add(1)
    await party.start()
    assert party.gained == []
    party.served.clear()
    await until(lambda: party.gained == [1])


async def test_a_node_that_is_alone_keeps_its_sessions_while_the_database_is_away_but_writes_nothing(
    parties, database
):
    await connections(database, 1)
    party = await parties().start()
    async with database.transaction() as tx:  # nobody can renew meanwhile
        await tx.execute("lock table lease in exclusive mode")
        await until(lambda: party.owner.owned[1].ends_at < now_s() - 2 * LEASE_S / 10)
        assert not party.owner.owned[1].may_write()
        assert party.lost == []
    await until(lambda: party.owner.owned[1].may_write())
    assert party.lost == []


async def test_a_node_that_cannot_renew_leaves_its_connection_when_others_could_have_it(parties, database):
    await connections(database, 1)
    first, second = await parties().start(), await parties().start()
    first.owner.look()
    await until(lambda: first.owner._nodes == 2)
    async with database.transaction() as tx:
        await tx.execute("lock table lease in exclusive mode")
        await until(lambda: first.lost == [1])
        assert second.gained == []
    assert 1 not in first.owner.owned
    await until(lambda: sorted(first.gained[1:] + second.gained) == [1])


async def test_a_removed_connection_is_forgotten(parties, database):
    await connections(database, 2)
    party = await parties().start()
    await database.execute("delete from smsc where id = 1")
    await until(lambda: sorted(party.owner.owned) == [2])


# What an owner of before may still do in the database


@pytest.fixture
async def taken_over(office):
    """A message that the owner of before had claimed, and that the next owner has claimed again."""
    place = await office(start=False)
    message_id = await place.accept()
    before = await place.session()
    (claimed,) = await claim(place.db, place.smsc.id, before, 1)
    await place.db.execute("update lease set lease_until = now()")
    other = uuid.uuid4()
    taken = await leases.take(place.db, place.smsc.id, other, 60)
    assert taken is not None and taken.uncertain == 1
    after = await sessions.begin_session(place.db, place.smsc.id, other, taken.epoch)
    assert after is not None
    (again,) = await claim(place.db, place.smsc.id, after, 1)
    assert (again.message_id, again.n) == (message_id, claimed.n + 1)
    return place, message_id, before, claimed, after


async def test_the_owner_of_before_claims_nothing_and_begins_no_session(taken_over):
    place, _, before, _, _ = taken_over
    await place.accept()
    assert await claim(place.db, place.smsc.id, before, 10) == []
    epoch = place.leases[place.smsc.id].epoch
    assert await sessions.begin_session(place.db, place.smsc.id, place.holder, epoch) is None


async def test_late_results_of_the_owner_of_before_move_no_queue_row(taken_over):
    place, message_id, before, claimed, after = taken_over
    await queue.retry(place.db, [Retry(message_id, claimed.claim, 0.0, True, 0)])
    await queue.hold(place.db, [(message_id, claimed.claim)])
    await queue.take_back(place.db, before, [])
    assert await queue.finish(place.db, [Ending(message_id, claimed.claim, 6, "ESME_RINVDSTADR")]) == []
    await sessions.end_sessions(place.db, [before])
    row = await place.queued(message_id)
    assert (row["state"], row["session_id"], row["attempts"]) == (1, after, 2)
    assert (await place.message(message_id))["state"] == 0


async def test_a_late_response_to_the_owner_of_before_is_kept(taken_over):
    """It is the operator's word that the message was taken: a receipt may name that id."""
    place, message_id, before, claimed, _ = taken_over
    row = Attempt(
        message_id, 1, claimed.n, claimed.number, "A1", "a1", AttemptState.TAKEN, 0, datetime.now(UTC), False
    )
    await queue.commit_results(place.db, place.smsc.id, before, [row], [])
    assert await place.attempts(message_id) == [(1, claimed.n, AttemptState.TAKEN)]
    assert (await place.message(message_id))["state"] == 1


async def test_a_claim_under_way_is_found_by_whoever_takes_over(office):
    """The claim has begun before the take-over, and commits after that began: its row must not stay behind."""
    place = await office(start=False)
    message_id = await place.accept()
    session = await place.session()
    await place.db.execute("update lease set lease_until = now()")
    async with place.db.transaction() as tx:
        (claimed,) = await claim(tx, place.smsc.id, session, 1)
        taking = asyncio.ensure_future(leases.take(place.db, place.smsc.id, uuid.uuid4(), 60))
        await blocked(place.db)
    taken = await taking
    assert taken is not None and taken.uncertain == 1
    assert (await place.queued(message_id))["state"] == 0
    assert claimed.message_id == message_id


async def test_a_session_that_begins_during_the_take_over_is_ended_or_not_begun(office):
    place = await office(start=False)
    await place.db.execute("update lease set lease_until = now()")
    async with place.db.transaction() as tx:
        session = await sessions.begin_session(
            tx, place.smsc.id, place.holder, place.leases[place.smsc.id].epoch
        )
        assert session is not None
        taking = asyncio.ensure_future(leases.take(place.db, place.smsc.id, uuid.uuid4(), 60))
        await blocked(place.db)
    await taking
    assert await place.db.fetchval("select ended_at is not null from session where id = $1", session)


async def test_a_dead_owners_session_ended_when_its_lease_did_however_late_it_is_found(office):
    """By that the inbox tells what an operator sends again from what a person writes again."""
    place = await office(start=False)
    session = await place.session()
    await place.db.execute("update session set started_at = now() - interval '9 hours'")
    await place.db.execute("update lease set lease_until = now() - interval '8 hours'")
    await leases.take(place.db, place.smsc.id, uuid.uuid4(), 60)
    assert await place.db.fetchval(
        "select now() - ended_at between interval '8 hours' and interval '8 hours 1 minute' from session where id = $1",
        session,
    )


async def test_locks_of_a_node_that_froze_in_a_transaction_are_freed_by_the_server(office):
    place = await office(start=False)
    await place.db.execute("update lease set lease_until = now()")
    frozen = await asyncpg.connect(
        place.db._pool._connect_args[0],
        server_settings={"idle_in_transaction_session_timeout": "5s"},  # as store.database has it
    )
    assert await place.db.fetchval("show idle_in_transaction_session_timeout") == "5s"
    await frozen.execute(queue.lock_of(place.smsc.id))
    with pytest.raises(asyncpg.LockNotAvailableError):
        await leases.take(place.db, place.smsc.id, uuid.uuid4(), 60)
    assert await place.db.fetchval("select holder from lease") == place.holder

    async def taken() -> bool:
        try:
            return await leases.take(place.db, place.smsc.id, uuid.uuid4(), 60) is not None
        except asyncpg.LockNotAvailableError:
            return False

    await place.until(taken)

    async def closed() -> bool:
        return frozen.is_closed()

    await place.until(closed)


async def test_a_link_that_may_not_write_claims_nothing_until_it_may(office):
    place = await office(start=False)
    lease = place.leases[place.smsc.id] = Lease(place.leases[place.smsc.id].epoch, now_s())
    place.start()
    await place.until(lambda: _bound(place))
    message_id = await place.accept()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):  # longer than the poll for work
            await place.operator.submit()
    assert (await place.queued(message_id))["state"] == 0
    lease.ends_at = now_s() + 60
    await place.operator.submit()


async def test_a_link_that_is_abandoned_closes_its_socket_without_a_goodbye(office):
    place = await office()
    await place.accept()
    await place.operator.submit()
    assert place.link is not None
    place.link.abandon()
    async with asyncio.timeout(2):
        await place.stop()
    assert place.operator.others == []  # no unbind
    assert place.operator.lost == 1


async def _bound(place) -> bool:
    return bool(place.operator.binds)


async def blocked(db: Database) -> None:
    """Until some statement waits for a lock."""
    asked: Callable[[], Awaitable[Any]] = lambda: db.fetchval(  # noqa: E731
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )
    async with asyncio.timeout(5):
        while not await asked():
            await asyncio.sleep(0.005)
