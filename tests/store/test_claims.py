"""Whose messages are claimed, on the real store."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pombo.message import MessageClass
from pombo.send.turn import Turns
from pombo.store import queue, routes, sessions, smscs
from pombo.store.database import Connection, Database
from pombo.store.queue import Claimed, Retry

_FILL = """
with new as (
    select $1::bigint + n as id from generate_series(1, $2::int) n
), messages as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,
                         accepted_at)
    select id, $3, id::text, '', 5511999999999, 'oi', false, $6, 80, 1, now() from new
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts)
select id, $7, $3, $4, now() + make_interval(secs => $5), now() + interval '1 day', $6 from new
"""

_FILL_LINES = """
with messages as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,
                         accepted_at)
    select $1::bigint + n, $3::bigint + n, '', '', 5511999999999, 'oi', false, 1, 80, 1, now()
    from generate_series(1, $2::int) n
    returning id, account_id
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts)
select id, 1, account_id, 1, now() + make_interval(secs => $4), now() + interval '1 day', 1 from messages
"""


class Rows:
    """Fills the queue of connection 1 and claims from it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.turns = Turns(1)
        self.now = 0.0
        self.pace_s = 1.0  # between two claims
        self._id = 0

    async def fill(
        self,
        account: int,
        count: int,
        message_class: int = 1,
        due_s: float = -60.0,
        parts: int = 1,
        smsc: int = 1,
    ) -> int:
        """Returns the last one's id."""
        await self.db.execute(_FILL, self._id, count, account, message_class, due_s, parts, smsc)
        self._id += count
        return self._id

    async def fill_lines(self, first_account: int, accounts: int, due_s: float = -60.0) -> None:
        """One message for each of many accounts."""
        await self.db.execute(_FILL_LINES, self._id, accounts, first_account, due_s)
        self._id += accounts

    async def classes(self) -> list[tuple[int, int]]:
        return [tuple(row) for row in await self.db.fetch("select message_id, class from queue")]

    async def begin(self) -> int:
        session = await self.db.fetchval(
            "insert into session (smsc_id, holder) values (1, $1) returning id", uuid.uuid4()
        )
        return int(session)

    async def claim(self, session: int, room: int) -> list[Claimed]:
        self.now += self.pace_s
        return (await self.turns.claim(self.db, session, room, self.now)).claimed


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


@pytest.mark.anyio
async def test_three_messages_of_one_account_go_between_those_of_another_with_many(rows: Rows) -> None:
    await rows.fill(1, 2000, due_s=-600)
    await rows.fill(2, 3)
    session = await rows.begin()
    order = [(await rows.claim(session, 1))[0].account_id for _ in range(8)]
    assert order == [1, 2, 1, 2, 1, 2, 1, 1]


@pytest.mark.anyio
async def test_a_full_window_alternates_over_accounts(rows: Rows) -> None:
    await rows.fill(1, 100, due_s=-600)
    await rows.fill(2, 3)
    await rows.fill(3, 100)
    claimed = await rows.claim(await rows.begin(), 10)
    assert [message.account_id for message in claimed] == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]


@pytest.mark.anyio
async def test_classes_go_strictly_one_after_the_other(rows: Rows) -> None:
    await rows.fill(1, 50, MessageClass.MARKETING, due_s=-600)
    await rows.fill(1, 2, MessageClass.TRANSACTIONAL, due_s=-300)
    await rows.fill(2, 1, MessageClass.OTP)
    session = await rows.begin()
    claimed = [message for _ in range(4) for message in await rows.claim(session, 5)][:5]
    assert [message.message_id for message in claimed] == [53, 51, 52, 1, 2]


@pytest.mark.anyio
async def test_a_new_account_has_its_turn_at_the_next_look(rows: Rows) -> None:
    await rows.fill(1, 500)
    session = await rows.begin()
    await rows.claim(session, 10)
    await rows.fill(2, 1, due_s=0)
    assert 2 in {message.account_id for message in await rows.claim(session, 2)}


@pytest.mark.anyio
async def test_messages_that_are_due_later_are_not_claimed_and_starve_nobody(rows: Rows) -> None:
    for account in range(1, 40):
        await rows.fill(account, 20, due_s=3600)
    await rows.fill(40, 3)
    claimed = await rows.claim(await rows.begin(), 10)
    assert [message.account_id for message in claimed] == [40, 40, 40]


@pytest.mark.anyio
async def test_a_message_that_becomes_due_before_those_already_claimed_is_found(rows: Rows) -> None:
    await rows.fill(1, 20, due_s=-60)
    session = await rows.begin()
    await rows.claim(session, 10)
    await rows.fill(1, 1, due_s=-120)  # committed late
    assert (await rows.claim(session, 1))[0].message_id == 21


async def _committed_late(rows: Rows, tx: Connection, mine: Claimed) -> int:
    return await rows.fill(1, 1, due_s=-120)


async def _moved(rows: Rows, tx: Connection, mine: Claimed) -> int:
    message_id = await rows.fill(1, 1, due_s=-120, smsc=2)
    assert await routes.move(rows.db, 2, [(message_id, 0, 1)]) == 1
    return message_id


async def _retried(rows: Rows, tx: Connection, mine: Claimed) -> int:
    await queue.retry(tx, [Retry(mine.message_id, mine.claim, 0.0, False, 0)])
    return mine.message_id


async def _refused_after_all(rows: Rows, tx: Connection, mine: Claimed) -> int:
    await queue.hold(tx, [(mine.message_id, mine.claim)])
    await queue.release_refused(tx, [mine.message_id])
    return mine.message_id


async def _left_by_a_session(rows: Rows, tx: Connection, mine: Claimed) -> int:
    session = await rows.db.fetchval("select session_id from queue where message_id = $1", mine.message_id)
    await sessions.end_sessions_in(tx, [session])
    return mine.message_id


@pytest.mark.anyio
@pytest.mark.parametrize("way", [_committed_late, _moved, _retried, _refused_after_all, _left_by_a_session])
async def test_what_is_due_before_its_account_s_claims_goes_within_a_second_while_they_go_on(
    rows: Rows, way: Callable[[Rows, Connection, Claimed], Awaitable[int]]
) -> None:
    await smscs.add_smsc(rows.db, "op", "127.0.0.1", 1, "id", b"pw")
    await rows.fill(1, 1)
    (mine,) = await rows.claim(await rows.begin(), 1)
    session = await rows.begin()
    async with rows.db.transaction() as tx:
        await tx.execute("select")  # its now() is before all that follows
        await rows.fill(1, 1000, due_s=0.0)
        assert [len(await rows.claim(session, 5)) for _ in range(3)] == [5, 5, 5]
        message_id = await way(rows, tx, mine)
    rows.pace_s = 0.05
    assert message_id in [(await rows.claim(session, 1))[0].message_id for _ in range(20)]


@pytest.mark.anyio
async def test_the_walk_finds_what_is_early_however_many_accounts_there_are(rows: Rows) -> None:
    await rows.fill_lines(10, 1200, due_s=3600)
    await rows.fill(5000, 1000)
    session = await rows.begin()
    assert [len(await rows.claim(session, 1)) for _ in range(3)] == [0, 0, 1]
    early = await rows.fill(5000, 1, due_s=-120)
    assert early in [(await rows.claim(session, 1))[0].message_id for _ in range(5)]


@pytest.mark.anyio
async def test_with_more_accounts_than_a_look_takes_each_has_its_turn(rows: Rows) -> None:
    await rows.fill(1, 1000, due_s=-600)
    await rows.fill_lines(10, 1200)
    session = await rows.begin()
    served = {m.account_id for _ in range(70) for m in await rows.claim(session, 20)}
    assert served == {1, *range(11, 1211)}


@pytest.mark.anyio
async def test_a_message_that_becomes_due_goes_while_others_keep_the_connection_busy(rows: Rows) -> None:
    await rows.fill(1, 1000)
    await rows.fill(2, 1, due_s=0.3)
    session = await rows.begin()
    assert {m.account_id for m in await rows.claim(session, 5)} == {1}
    await rows.db.execute("select pg_sleep(0.3)")
    assert {m.account_id for m in await rows.claim(session, 2)} == {1, 2}


@pytest.mark.anyio
async def test_several_sessions_share_the_turns_of_a_connection(rows: Rows) -> None:
    for account in (1, 2, 3):
        await rows.fill(account, 100)
    sessions = [await rows.begin() for _ in range(2)]
    order = [m.account_id for n in range(20) for m in await rows.claim(sessions[n % 2], 1 + n % 4)]
    assert order == [1 + place % 3 for place in range(len(order))]


@pytest.mark.anyio
async def test_a_code_that_is_known_goes_before_all_else_and_one_that_is_told_of_is_known(rows: Rows) -> None:
    await rows.fill_lines(10, 1200)
    await rows.fill(1, 1000, due_s=-600)
    session, rows.pace_s = await rows.begin(), 0.0
    await rows.claim(session, 10)
    await rows.fill(9000, 2, MessageClass.OTP, due_s=0.0)
    rows.turns.news()
    claimed = [message for _ in range(2) for message in await rows.claim(session, 1)]
    assert [message.account_id for message in claimed] == [9000, 9000]


@pytest.mark.anyio
async def test_turns_end_only_when_a_whole_walk_found_nothing(rows: Rows) -> None:
    await rows.fill_lines(10, 1200, due_s=3600)
    session, more = await rows.begin(), []
    for place in range(4):
        if place == 1:
            await rows.fill(1, 1)  # behind the walk
            rows.turns.news()
        rows.now += 1.0
        taken = await rows.turns.claim(rows.db, session, 5, rows.now)
        more += [len(taken.claimed) or taken.again_s]
    assert more[:3] != [None] * 3 and None not in more[:3]
    assert more[3] == 1


@pytest.mark.anyio
async def test_a_message_with_more_parts_than_are_free_waits_for_its_place_and_then_goes_first(
    rows: Rows,
) -> None:
    await rows.fill(1, 3)
    await rows.fill(2, 1, parts=4)
    session = await rows.begin()
    assert [message.account_id for message in await rows.claim(session, 3)] == [1]
    assert [message.account_id for message in await rows.claim(session, 3)] == [2]
    assert [message.account_id for message in await rows.claim(session, 3)] == [1, 1]


@pytest.mark.anyio
async def test_two_binds_that_claim_at_once_never_get_one_message_twice(rows: Rows) -> None:
    for account in (1, 2, 3):
        await rows.fill(account, 100)
    seen: list[int] = []

    async def drain() -> None:
        turns, session, now = Turns(1), await rows.begin(), 0.0
        while True:
            now += 1.0
            taken = await turns.claim(rows.db, session, 7, now)
            if not taken.claimed:
                return
            seen.extend(message.message_id for message in taken.claimed)

    await asyncio.gather(drain(), drain(), drain())
    assert Counter(seen) == dict.fromkeys(range(1, 301), 1)


def _judge_fair(
    served: Sequence[Claimed], waiting: Counter[tuple[int, int]], classes: Mapping[int, int]
) -> None:
    """Nothing of a class while a better one waits; nobody twice while another of the class waits for its first turn
    since then; each account's own in order of time."""
    last: dict[tuple[int, int], Any] = {}
    since: dict[tuple[int, int], Counter[int]] = {}
    for message in served:
        who = (classes[message.message_id], message.account_id)
        assert min(c for (c, _), n in waiting.items() if n) == who[0]
        assert last.get(who, (message.due_at, 0)) < (message.due_at, message.message_id)
        last[who] = (message.due_at, message.message_id)
        for other, n in waiting.items():
            if n and other != who and other[0] == who[0]:
                since.setdefault(other, Counter())[message.account_id] += 1
                assert since[other][message.account_id] <= 1, (other, message)
        since.pop(who, None)
        waiting[who] -= 1
    assert not +waiting


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fills=st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 12), st.sampled_from([0, 1, 2]), st.sampled_from([-60, -30])),
        min_size=1, max_size=8,
    ),
    rooms=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    later=st.integers(0, 5),
)  # fmt: skip
def test_no_account_waits_for_more_than_one_turn_of_each_other(
    database_url: str, fills: list[tuple[int, int, int, int]], rooms: list[int], later: int
) -> None:
    async def judge() -> None:
        db = await Database.open(database_url, size=1, hot=True)
        try:
            await db.execute("truncate queue, message")
            rows, waiting = Rows(db), Counter[tuple[int, int]]()
            for account, count, message_class, due_s in fills:
                await rows.fill(account, count, message_class, due_s)
                waiting[message_class, account] += count
            for account in range(10, 10 + later):
                await rows.fill(account, 2, 0, 3600)
            served: list[Claimed] = []
            classes = dict(await rows.classes())
            session, place, left = await rows.begin(), 0, waiting.total()
            for place in range(10 * left):  # claims that may find that an account has no more included
                served += await rows.claim(session, rooms[place % len(rooms)])
                if len(served) == left:
                    break
            _judge_fair(served, waiting, classes)
        finally:
            await db.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(judge())
