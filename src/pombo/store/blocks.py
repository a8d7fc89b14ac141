"""Numbers that must not be written to (opt-outs and blocks), as keyed hashes. Account 0 is the operator: its blocks
count for every account."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.message import QueueState, State
from pombo.store.database import Db

EVERYBODY = 0  # in place of an account's id


async def with_lists(db: Db, account_ids: Sequence[int]) -> set[int]:
    """Those of the accounts, and of EVERYBODY, that have blocks."""
    rows = await db.fetch(
        "select id from unnest($1::bigint[] || 0::bigint) t(id) where exists (select from block where account_id = id)",
        account_ids,
    )
    return {row["id"] for row in rows}


# An index look-up for each, whatever the planner thinks of the list.
_BLOCKED = """
select t.place::int - 1 from unnest($1::bigint[], $2::bytea[]) with ordinality t(account_id, number_hmac, place)
cross join lateral (
    select from block b where b.number_hmac = t.number_hmac and b.account_id in (0, t.account_id) limit 1
) b
"""


async def blocked(db: Db, account_ids: Sequence[int], number_hmacs: Sequence[bytes]) -> list[int]:
    """The places (from 0) at which an account must not write to a number."""
    return [row[0] for row in await db.fetch(_BLOCKED, account_ids, number_hmacs)]


class OptOut(NamedTuple):
    account_id: int
    number_hmac: bytes
    inbox_id: int


# Who is on the operator's list hears nothing from us, a confirmation included.
_OPT_OUT = """
insert into block (number_hmac, account_id, reason, inbox_id, owed_since)
select t.number_hmac, t.account_id, 'reply', t.inbox_id,
       case when not exists (select from block b where b.number_hmac = t.number_hmac and b.account_id = 0) then now() end
from unnest($1::bigint[], $2::bytea[], $3::bigint[]) t(account_id, number_hmac, inbox_id)
order by t.number_hmac, t.account_id, t.inbox_id on conflict do nothing returning inbox_id
"""


async def opt_out(db: Db, wishes: Sequence[OptOut]) -> list[int]:
    """Block the numbers of people who asked for it; the replies that did so first. A confirmation is owed to these."""
    return [row["inbox_id"] for row in await db.fetch(_OPT_OUT, *map(list, zip(*wishes, strict=True)))]


class Owed(NamedTuple):
    """A confirmation that an opt-out is still owed."""

    number_hmac: bytes
    account_id: int
    inbox_id: int
    source: str  # the handset, as the reply has it


async def owed(db: Db, hours: float, limit: int) -> list[Owed]:
    """The oldest of them, of the last so many hours."""
    rows = await db.fetch(
        "select b.number_hmac, b.account_id, b.inbox_id, i.source from block b join inbox i on i.id = b.inbox_id"
        " where b.owed_since > now() - make_interval(secs => $1 * 3600) order by b.owed_since limit $2",
        hours, limit,
    )  # fmt: skip
    return [Owed(*row) for row in rows]


class Untold(NamedTuple):
    """An opt-out that the audit trail knows nothing of yet."""

    number_hmac: bytes
    account_id: int
    inbox_id: int
    created_at: datetime
    source: str  # the handset, as the reply has it; '' once it is erased


async def untold(db: Db, limit: int) -> list[Untold]:
    """The oldest of them."""
    rows = await db.fetch(
        "select b.number_hmac, b.account_id, b.inbox_id, b.created_at, coalesce(i.source, '') from block b"
        " left join inbox i on i.id = b.inbox_id where b.reason = 'reply' and b.told_at is null"
        " order by b.created_at limit $1",
        limit,
    )
    return [Untold(*row) for row in rows]


async def tell(db: Db, untold: Untold) -> bool:
    """To be followed by its record in the same transaction. False where another node was first, or the block has gone."""
    found = await db.fetchval(
        "update block set told_at = now() where number_hmac = $1 and account_id = $2 and reason = 'reply'"
        " and told_at is null returning true",
        untold.number_hmac, untold.account_id,
    )  # fmt: skip
    return bool(found)


async def settle(db: Db, owed: Owed) -> None:
    """Nothing is owed any more."""
    await db.execute(
        "update block set owed_since = null where number_hmac = $1 and account_id = $2",
        owed.number_hmac, owed.account_id,
    )  # fmt: skip


async def add(db: Db, account_id: int, number_hmacs: Sequence[bytes], reason: str) -> int:
    """How many of them were not there yet. reason: `import` or `manual`."""
    rows = await db.fetch(
        "insert into block (number_hmac, account_id, reason) select h, $1, $3 from unnest($2::bytea[]) h"
        " order by h on conflict do nothing returning 1",
        account_id, sorted(set(number_hmacs)), reason,
    )  # fmt: skip
    return len(rows)


async def remove(db: Db, account_id: int, number_hmac: bytes) -> None:
    await db.execute("delete from block where account_id = $1 and number_hmac = $2", account_id, number_hmac)


async def entry(db: Db, account_id: int, number_hmac: bytes) -> asyncpg.Record | None:
    """reason, inbox_id, created_at of a number on a list, locked."""
    return await db.fetchrow(
        "select reason, inbox_id, created_at from block where account_id = $1 and number_hmac = $2 for update",
        account_id, number_hmac,
    )  # fmt: skip


async def lists_of(db: Db, number_hmac: bytes) -> list[asyncpg.Record]:
    """On which lists a number is: account_id, account, reason, inbox_id, created_at."""
    return await db.fetch(
        "select b.account_id, a.name as account, b.reason, b.inbox_id, b.created_at"
        " from block b left join account a on a.id = b.account_id where b.number_hmac = $1 order by b.account_id",
        number_hmac,
    )


async def counted(db: Db, account_id: int | None) -> list[asyncpg.Record]:
    """account_id, account, reason, numbers, newest_at; of one list, or of all."""
    return await db.fetch(
        "select b.account_id, a.name as account, b.reason, count(*) as numbers, max(b.created_at) as newest_at"
        " from block b left join account a on a.id = b.account_id where $1::bigint is null or b.account_id = $1"
        " group by b.account_id, a.name, b.reason order by b.account_id, b.reason",
        account_id,
    )


async def reasons(db: Db, account_id: int, number_hmacs: Sequence[bytes]) -> dict[bytes, str]:
    """Why an account must not write to these numbers, of those to which it must not: as its own list says, or
    `everybody` where only the operator's does."""
    rows = await db.fetch(
        "select number_hmac, case account_id when 0 then 'everybody' else reason end as reason from block"
        " where number_hmac = any($2::bytea[]) and account_id in (0, $1) order by account_id",
        account_id, number_hmacs,
    )  # fmt: skip
    return {row["number_hmac"]: row["reason"] for row in rows}


async def recent_opt_outs(db: Db, account_id: int, limit: int) -> list[asyncpg.Record]:
    """The newest blocks that a reply asked for, whose reply is still there: created_at, source, conversation_id."""
    return await db.fetch(
        "select b.created_at, i.source, c.id as conversation_id from block b join inbox i on i.id = b.inbox_id"
        " left join conversation c on c.account_id = b.account_id and c.handset = i.source"
        " where b.account_id = $1 and b.reason = 'reply' order by b.created_at desc limit $2",
        account_id, limit,
    )  # fmt: skip


async def page(
    db: Db, account_id: int, after: tuple[datetime, bytes] | None, limit: int
) -> list[asyncpg.Record]:
    """number_hmac, reason, inbox_id, created_at, the oldest first; after: the last one's created_at and number_hmac."""
    return await db.fetch(
        "select number_hmac, reason, inbox_id, created_at from block where account_id = $1"
        " and ($2::timestamptz is null or (created_at, number_hmac) > ($2, $3::bytea))"
        " order by created_at, number_hmac limit $4",
        account_id, *(after or (None, None)), limit,
    )  # fmt: skip


# The message first, then its queue row, as receipts do it. What is just being written goes.
_WAITING = f"""
select m.id from unnest($2::bigint[]) n(number)
cross join lateral (
    select m.id, m.account_id from message m
    where m.number = n.number and m.state = {State.WAITING:d} and ($1 = 0 or m.account_id = $1) order by m.id offset 0
) w join queue q on q.message_id = w.id join message m on m.id = w.id
where q.class = 2 and q.state in ({QueueState.WAITING:d}, {QueueState.HELD:d}) and q.parts_taken = 0
order by m.id for update of m skip locked
"""
_END = f"""
with gone as (
    delete from queue where message_id = any($1::bigint[]) and state in ({QueueState.WAITING:d}, {QueueState.HELD:d})
    returning message_id
)
update message m set state = {State.REJECTED:d}, error = 'BLOCKED', final_at = now()
from gone where m.id = gone.message_id and m.state = {State.WAITING:d} returning m.id
"""


async def end_waiting(db: Db, account_id: int, numbers: Sequence[int]) -> list[int]:
    """End the account's (EVERYBODY: all) marketing messages that wait for these numbers; returns them. To be followed by
    endings.ended in the same transaction."""
    ids = [row["id"] for row in await db.fetch(_WAITING, account_id, numbers)]
    return [row["id"] for row in await db.fetch(_END, ids)] if ids else []
