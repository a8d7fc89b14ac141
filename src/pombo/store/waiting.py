"""What people do with messages in the queue: look, hold, release, try again, discard. In pages, so that a million of
them neither fill the memory nor hold locks for long. Nothing here touches what a bind session is writing."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.message import AttemptState, QueueState, State
from pombo.store import endings
from pombo.store.database import Connection, Database, Db

PAGE = 1000


class Which(NamedTuple):
    """Which messages; None fits all."""

    message_ids: Sequence[int] | None = None
    smsc_id: int | None = None
    account_id: int | None = None
    class_: int | None = None  # message.MessageClass
    state: int | None = None  # message.QueueState
    accepted_before: datetime | None = None


_FITS = """
    ($1::bigint[] is null or q.message_id = any($1)) and ($2::int is null or q.smsc_id = $2)
    and ($3::bigint is null or q.account_id = $3) and ($4::int is null or q.class = $4)
    and ($5::int is null or q.state = $5) and ($6::timestamptz is null or m.accepted_at < $6)
"""


async def counted(db: Db, which: Which) -> list[asyncpg.Record]:
    """smsc, class, state, messages, oldest_due_at: a row for each that there is."""
    return await db.fetch(
        f"""
        select s.name as smsc, q.class, q.state, count(*) as messages, min(q.due_at) as oldest_due_at
        from queue q join message m on m.id = q.message_id left join smsc s on s.id = q.smsc_id
        where {_FITS} group by s.name, q.class, q.state order by s.name, q.class, q.state
        """,
        *which,
    )


async def listed(db: Db, which: Which, limit: int) -> list[asyncpg.Record]:
    """The oldest of them."""
    return await db.fetch(
        f"""
        select q.message_id, m.client_ref, a.name as account, m.number, s.name as smsc, q.class, q.state, m.state as message,
              q.held_for,               m.accepted_at, q.due_at, q.expires_at, q.attempts, q.parts, q.parts_taken
        from queue q join message m on m.id = q.message_id join account a on a.id = q.account_id
        left join smsc s on s.id = q.smsc_id
        where {_FITS} order by q.message_id limit $7
        """,
        *which, limit,
    )  # fmt: skip


# A page, its messages locked (before their queue rows, as receipts do it). What is locked is just being written, or
# ends at this moment: it is none of those that a person meant. For what was named one by one, that is waited for.
_PAGE = f"""
    select m.id from queue q join message m on m.id = q.message_id
    where {_FITS} and q.message_id > $7 and q.state = any($8::smallint[])
    order by m.id limit $9 for update of m
"""


async def retry(db: Database, which: Which, after_id: int) -> tuple[int, int | None]:
    """Waiting messages that are to wait for their next try go now; scheduled ones not before their time."""
    async with db.transaction() as tx:
        page = await _page(tx, which, after_id, [QueueState.WAITING])
        done = await tx.fetch(
            "update queue set due_at = greatest(now(), opens_at) where message_id = any($1::bigint[]) and state = 0"
            " and due_at > greatest(now(), opens_at) returning 1",
            page,
        )
        return len(done), _next(page)


async def hold(db: Database, which: Which, after_id: int) -> tuple[int, int | None]:
    """Waiting messages stay until they are released; their validity does not end meanwhile."""
    async with db.transaction() as tx:
        page = await _page(tx, which, after_id, [QueueState.WAITING])
        done = await tx.fetch(
            "update queue set state = 2 where message_id = any($1::bigint[]) and state = 0 returning 1", page
        )
        return len(done), _next(page)


async def release(db: Database, which: Which, after_id: int) -> tuple[int, int | None]:
    """Held messages wait again, due now or at their time. Those whose fate was not known are sent once more."""
    async with db.transaction() as tx:
        page = await _page(tx, which, after_id, [QueueState.HELD])
        done = await tx.fetch(
            "update queue q set state = 0, held_for = '', due_at = greatest(now(), q.opens_at),"
            # What nobody has looked at yet has its whole validity before it.
            "  expires_at = case q.held_for when '' then q.expires_at else q.expires_at + (now() - m.accepted_at) end"
            " from message m where q.message_id = any($1::bigint[]) and q.state = 2 and m.id = q.message_id"
            " returning q.message_id",
            page,
        )
        await tx.execute(
            "update message set state = case when sent_at is null then 0 else 1 end"
            " where id = any($1::bigint[]) and state = 2",
            [row["message_id"] for row in done],
        )
        return len(done), _next(page)


async def discard(db: Database, which: Which, after_id: int) -> tuple[int, int | None]:
    """Waiting and held messages end: CANCELLED, or UNDELIVERED where the operator has some of their parts already.
    Their accounts are called back."""
    async with db.transaction() as tx:
        page = await _page(tx, which, after_id, [QueueState.WAITING, QueueState.HELD])
        gone = await tx.fetch(
            "delete from queue where message_id = any($1::bigint[]) and state in (0, 2) returning message_id",
            page,
        )
        ids = [row["message_id"] for row in gone]
        await _end(tx, ids, "DISCARDED")
        return len(ids), _next(page)


async def cancel(db: Database, which: Which, after_id: int) -> tuple[list[int], int | None]:
    """Waiting messages that no operator has, or may have, a part of end: CANCELLED. Returns them; their accounts are
    called back, and get the charge back."""
    async with db.transaction() as tx:
        page = await _page(tx, which, after_id, [QueueState.WAITING, QueueState.HELD])
        gone = await tx.fetch(
            f"""
            delete from queue q using message m
            where q.message_id = any($1::bigint[]) and q.state in (0, 2) and q.parts_taken = 0
              and m.id = q.message_id and m.state = {State.WAITING:d}
              and not exists (select from attempt a where a.message_id = q.message_id and a.state in {_WRITTEN})
            returning q.message_id
            """,
            page,
        )
        ids = [row["message_id"] for row in gone]
        await _end(tx, ids, "CANCELLED")
        return ids, _next(page)


_WRITTEN = f"({AttemptState.UNCERTAIN:d}, {AttemptState.TAKEN:d}, {AttemptState.DELIVERED:d}, {AttemptState.FAILED:d})"


async def _end(tx: Connection, message_ids: Sequence[int], error: str) -> None:
    """Of messages that have left the queue just now."""
    final = await tx.fetch(
        f"""
        update message m set error = $2, final_at = now(),
               state = case when m.sent_at is null then {State.CANCELLED:d} else {State.UNDELIVERED:d} end
        where m.id = any($1::bigint[]) and m.state in (0, 1, 2) returning m.id
        """,
        message_ids, error,
    )  # fmt: skip
    await endings.ended(tx, None, [row["id"] for row in final])


async def _page(tx: Connection, which: Which, after_id: int, states: Sequence[QueueState]) -> list[int]:
    skip = "" if which.message_ids else " skip locked"
    rows = await tx.fetch(_PAGE + skip, *which, after_id, [int(state) for state in states], PAGE)
    return [row["id"] for row in rows]


def _next(page: list[int]) -> int | None:
    """Where the next page begins; None when this was the last."""
    return page[-1] if len(page) == PAGE else None
