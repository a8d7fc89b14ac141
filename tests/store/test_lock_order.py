"""A message is locked before its queue row, by whatever comes: then no two of them wait for each other."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest

from pombo.store import leases, queue, sessions, smscs
from pombo.store.database import Database
from pombo.store.ids import Ids
from pombo.store.intake import accept
from rows import claim, one_message

pytestmark = pytest.mark.anyio


class Being:
    """A message that is being written."""

    def __init__(self, db: Database, message_id: int, session_id: int) -> None:
        self.db, self.message_id, self.session_id = db, message_id, session_id

    async def hold(self) -> None:
        await queue.hold(self.db, [(self.message_id, 1)])

    async def end_session(self) -> None:
        await sessions.end_sessions(self.db, [self.session_id])

    async def release_refused(self) -> None:
        await queue.release_refused(self.db, [self.message_id])


@pytest.fixture
async def being(database) -> Being:
    account_id = await database.fetchval(
        "insert into account (name, balance_milli) values ('a', 1000) returning id"
    )
    smsc_id = await smscs.add_smsc(database, "op", "h", 1, "s", b"")
    holder = uuid.uuid4()
    taken = await leases.take(database, smsc_id, holder, 60)
    (message_id,) = Ids(1).take(1, time.time())
    await accept(database, one_message(account_id, message_id, 5511999999999, smsc_id))
    session_id = await sessions.begin_session(database, smsc_id, holder, taken.epoch)
    assert [c.message_id for c in await claim(database, smsc_id, session_id, 1)] == [message_id]
    return Being(database, message_id, session_id)


async def waits_for_a_row(db: Database) -> None:
    async with asyncio.timeout(10):
        while not await db.fetchval(
            "select exists (select from pg_stat_activity where wait_event_type = 'Lock')"
        ):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("act", [Being.hold, Being.end_session, Being.release_refused])
async def test_a_receipt_and_what_a_break_leaves_do_not_wait_for_each_other(
    being: Being, act: Callable[[Being], Awaitable[None]]
):
    db = being.db
    if act is Being.release_refused:
        await being.hold()
    async with db.transaction() as receipt:  # it ends the message, and then its queue row
        await receipt.execute(
            "update message set state = 3, final_at = now() where id = $1", being.message_id
        )
        other = asyncio.ensure_future(act(being))
        await waits_for_a_row(db)
        await receipt.execute("delete from queue where message_id = $1", being.message_id)
    await other
    assert await db.fetchval("select state from message") == 3
    assert await db.fetchval("select count(*) from queue") == 0
