"""Who owns an operator connection: a node's lease on it, by the database's time.

Each owner has an epoch of its own. It is checked where a session begins; whoever takes a lease over ends the sessions
from before it in the same transaction, and a claim commits only while its session is open. So nobody claims for a
connection that is no longer his, however late his statement comes.
"""

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from pombo import crash
from pombo.store import sessions
from pombo.store.database import Database, Db

# A node that was frozen, or cut off, in the middle of a transaction still has its locks until the server ends that
# (`idle_in_transaction_session_timeout` in store/database.py): taking over is tried again instead of waiting.
_PATIENT = "begin; set local lock_timeout = '2s'"


class Standing(NamedTuple):
    """How one connection is owned."""

    smsc_id: int
    mine: bool  # this holder has it, or was the last to have it
    free: bool  # nobody has a valid lease on it
    nodes: int  # running nodes that send, this one included


async def standings(db: Db, holder: uuid.UUID) -> list[Standing]:
    """Every connection, in order of id."""
    rows = await db.fetch(
        "select s.id, coalesce(l.holder = $1, false), coalesce(l.lease_until, '-infinity') <= now(),"
        " (select count(*) from node where lease_until > now() and 'send' = any(roles))"
        " from smsc s left join lease l on l.smsc_id = s.id order by s.id",
        holder,
    )
    return [Standing(*row) for row in rows]


class Taken(NamedTuple):
    epoch: int
    uncertain: int  # messages that the owner before was still writing


async def take(db: Database, smsc_id: int, holder: uuid.UUID, lease_s: float) -> Taken | None:
    """Own a connection whose lease has ended, or is this holder's from before. What its last owner was still writing
    is uncertain now, in the same transaction. None when another node has it, or it is gone.

    Raises asyncpg.LockNotAvailableError when the last owner still holds a lock: try again.
    """
    async with db.transaction(_PATIENT) as tx:
        await tx.execute("select pg_advisory_xact_lock(1, $1)", smsc_id)
        await tx.execute(
            "insert into lease (smsc_id, holder, epoch, lease_until)"
            " select id, $2, 0, '-infinity' from smsc where id = $1 on conflict do nothing",
            smsc_id, holder,
        )  # fmt: skip
        # `for update` waits for sessions that begin under the epoch before, which share a lock on the row.
        before = await tx.fetchrow(
            "select epoch + 1 as epoch, extract(epoch from now()"
            "  - least(now(), greatest(lease_until, now() - interval '30 days')))::float8 as over_s"
            " from lease where smsc_id = $1 and (lease_until <= now() or holder = $2) for update",
            smsc_id, holder,
        )  # fmt: skip
        if before is None:
            return None
        epoch = before["epoch"]
        await tx.execute(
            "update lease set holder = $2, epoch = $3, lease_until = now() + make_interval(secs => $4) where smsc_id = $1",
            smsc_id, holder, epoch, lease_s,
        )  # fmt: skip
        # They ended with their owner, not now: what an operator sends again is told by that (store/replies.py).
        left_open = await sessions.open_sessions(tx, smsc_id)
        uncertain = await sessions.end_sessions_in(tx, left_open, before["over_s"])
        await tx.execute(
            "update link set bound = 0, down_since = coalesce(down_since, now()) where smsc_id = $1 and bound > 0",
            smsc_id,
        )
        crash.point("recovery.before_commit")
        return Taken(int(epoch), uncertain)


async def renew(db: Db, holder: uuid.UUID, leases: Sequence[tuple[int, int]], lease_s: float) -> set[int]:
    """leases: (smsc_id, epoch). Returns the connections that are still this holder's; a lease that ran out without
    anybody taking it is one of them."""
    rows = await db.fetch(
        "update lease l set lease_until = now() + make_interval(secs => $4)"
        " from unnest($2::int[], $3::bigint[]) t(smsc_id, epoch)"
        " where l.smsc_id = t.smsc_id and l.epoch = t.epoch and l.holder = $1 returning l.smsc_id",
        holder, [smsc_id for smsc_id, _ in leases], [epoch for _, epoch in leases], lease_s,
    )  # fmt: skip
    return {row["smsc_id"] for row in rows}


async def release(db: Db, smsc_id: int, holder: uuid.UUID, epoch: int) -> None:
    """Give a connection up; the other nodes hear of it at once."""
    await db.execute(
        "with free as (update lease set lease_until = now() where smsc_id = $1 and holder = $2 and epoch = $3 returning 1)"
        " select pg_notify('pombo_change', 'lease') from free",
        smsc_id, holder, epoch,
    )  # fmt: skip
