"""Bind sessions: their beginning, and what one leaves behind that ends in the middle of things."""

import uuid
from collections.abc import Sequence

import asyncpg

from pombo.store import queue
from pombo.store.database import Database, Db


async def begin_session(db: Db, smsc_id: int, holder: uuid.UUID, epoch: int) -> int | None:
    """A new bind; its number stands in every row that it claims. None when the lease of this epoch was taken over."""
    session_id = await db.fetchval(
        "with owned as materialized (select from lease where smsc_id = $1 and holder = $2 and epoch = $3 for key share)"
        " insert into session (smsc_id, holder) select $1, $2 from owned returning id",
        smsc_id, holder, epoch,
    )  # fmt: skip
    return None if session_id is None else int(session_id)


async def note_bound(db: Db, session_id: int) -> None:
    await db.execute("update session set bound_at = now() where id = $1", session_id)


async def open_sessions(db: Db, smsc_id: int) -> list[int]:
    """Sessions of a connection, of whichever node, whose end was not written."""
    rows = await db.fetch("select id from session where ended_at is null and smsc_id = $1", smsc_id)
    return [row["id"] for row in rows]


async def forgotten_sessions(db: Db, holder: uuid.UUID, live: Sequence[int]) -> list[int]:
    """This node's open sessions that none of its links serves: their end could not be written at the time."""
    rows = await db.fetch(
        "select id from session where ended_at is null and holder = $1 and id <> all($2::bigint[])"
        " and started_at < now() - interval '1 minute'",
        holder, live,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def end_sessions(db: Database, session_ids: Sequence[int], ago_s: float = 0) -> int:
    """Close sessions; what they were still writing is uncertain now, and goes by its connection's policy.

    ago_s: since when nothing came in over them. Returns how many messages that were.
    """
    if not session_ids:
        return 0
    async with db.transaction() as tx:
        return await end_sessions_in(tx, session_ids, ago_s)


async def end_sessions_in(tx: asyncpg.Connection, session_ids: Sequence[int], ago_s: float = 0) -> int:
    """`end_sessions`, in the caller's transaction."""
    if not session_ids:
        return 0
    await tx.execute(
        "select pg_advisory_xact_lock(1, smsc_id) from"
        " (select distinct smsc_id from session where id = any($1::bigint[]) order by smsc_id) s",
        session_ids,
    )
    # A claim under way commits first, so that its rows are seen below; one that comes later finds the session ended.
    await tx.execute("select from session where id = any($1::bigint[]) order by id for update", session_ids)
    await tx.execute(
        "select from message where id = any(array("
        " select message_id from queue where state = 1 and session_id = any($1::bigint[]))) order by id for no key update",
        session_ids,
    )
    rows = await tx.fetch(
        "select q.message_id, s.uncertain_policy = 'hold' as hold from queue q join smsc s on s.id = q.smsc_id"
        " where q.state = 1 and q.session_id = any($1::bigint[]) for update of q",
        session_ids,
    )
    ids = [row["message_id"] for row in rows]
    await _mark_carried(tx, ids)
    await _mark_uncertain(tx, ids)
    await tx.execute(
        "update queue set state = 0, session_id = null, due_at = now() where message_id = any($1::bigint[])",
        [row["message_id"] for row in rows if not row["hold"]],
    )
    held = [row["message_id"] for row in rows if row["hold"]]
    await tx.execute(
        "update queue set state = 2, session_id = null where message_id = any($1::bigint[])", held
    )
    await tx.execute("update message set state = 2 where id = any($1::bigint[]) and state in (0, 1)", held)
    await queue.drop_taken(tx, ids)
    await tx.execute(
        "update session set ended_at = greatest(started_at, now() - make_interval(secs => $2))"
        " where id = any($1::bigint[]) and ended_at is null",
        session_ids, ago_s,
    )  # fmt: skip
    return len(ids)


async def _mark_uncertain(tx: asyncpg.Connection, message_ids: Sequence[int]) -> None:
    """An attempt row for each submit whose octets may have gone out and that has no answer: one for each part, or one
    for all where they go in one piece."""
    await tx.execute(
        "insert into attempt (message_id, part, n, smsc_id, session_id, number, state, submitted_at)"
        " select q.message_id, p, q.attempts, q.smsc_id, q.session_id, m.number, 0, now()"
        " from queue q join message m on m.id = q.message_id cross join generate_series(1, q.parts) p"
        " join smsc s on s.id = q.smsc_id and (p = 1 or s.long_mode <> 'payload' or q.parts_taken <> 0)"
        " where q.message_id = any($1::bigint[]) and (q.parts_taken >> (p - 1)) & 1 = 0"
        " on conflict do nothing",
        message_ids,
    )


async def _mark_carried(tx: asyncpg.Connection, message_ids: Sequence[int]) -> None:
    """As `queue.note_carried`, of what was being written in one piece."""
    await tx.execute(
        "update message m set parts_delivered = m.parts_delivered | ((1::bigint << m.parts) - 2)"
        " from queue q join smsc s on s.id = q.smsc_id and s.long_mode = 'payload'"
        " where q.message_id = any($1::bigint[]) and m.id = q.message_id and q.parts > 1 and q.parts_taken = 0"
        "  and m.state in (0, 1, 2)",
        message_ids,
    )
