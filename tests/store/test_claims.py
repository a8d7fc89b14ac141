"""Whose messages are claimed, on the real store."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pombo.message import MessageClass
from pombo.send.turn import Turns
from pombo.store.database import Database
from pombo.store.queue import Claimed

_FILL = """
with new as (
    select $1::bigint + n as id from generate_series(1, $2::int) n
), messages as (
    insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, smsc_id,
                         accepted_at)
    select id, $3, id::text, '', 5511999999999, 'oi', false, $6, 80, 1, now() from new
)
insert into queue (message_id, smsc_id, account_id, class, due_at, expires_at, parts)
select id, 1, $3, $4, now() + make_interval(secs => $5), now() + interval '1 day', $6 from new
"""


class Rows:
    """Fills the queue of connection 1 and claims from it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.turns = Turns(1)
        self.now = 0.0
        self._id = 0

    async def fill(
        self, account: int, count: int, message_class: int = 1, due_s: float = -60.0, parts: int = 1
    ) -> None:
        await self.db.execute(_FILL, self._id, count, account, message_class, due_s, parts)
        self._id += count

    async def classes(self) -> list[tuple[int, int]]:
        return [tuple(row) for row in await self.db.fetch("select message_id, class from queue")]

    async def begin(self) -> int:
        session = await self.db.fetchval(
            "insert into session (smsc_id, holder) values (1, $1) returning id", uuid.uuid4()
        )
        return int(session)

    async def claim(self, session: int, room: int) -> list[Claimed]:
        self.now += 1.0
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
