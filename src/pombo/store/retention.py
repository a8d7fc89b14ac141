"""Texts whose time is over go, a page at a time: each account says how many days they are kept."""

from datetime import datetime
from typing import NamedTuple

from pombo.store import privacy
from pombo.store.database import Connection, Db
from pombo.store.ids import EPOCH_MS, ID_BITS_BELOW_MS
from pombo.store.privacy import Of

_NOBODYS_DAYS = 90  # of replies that belong to no account
_LOCK = 0x74657874  # "text": one node at a time

# Of an account's texts up to here the time is over, by the clock of the database; ids are the nodes'.
_BEFORE = (
    "greatest(0, (extract(epoch from now() - make_interval(days => a.retention_days)) * 1000)::bigint"
    f" - {EPOCH_MS}) << {ID_BITS_BELOW_MS}"
)


class Due(NamedTuple):
    """An account that has messages whose time is over."""

    account_id: int
    after_id: int
    before_id: int


async def mine(tx: Connection) -> bool:
    """Whether nobody else is at it, until this transaction ends."""
    return bool(await tx.fetchval(f"select pg_try_advisory_xact_lock({_LOCK})"))


async def due(db: Db) -> list[Due]:
    """An index look-up for each account."""
    rows = await db.fetch(
        "select a.id, a.after_id, a.before_id from ("
        f" select a.id, coalesce(r.message_id, 0) as after_id, {_BEFORE} as before_id"
        "  from account a left join retention r on r.account_id = a.id offset 0) a"
        " where exists (select from message m where m.account_id = a.id and m.id > a.after_id and m.id < a.before_id)"
        " order by a.id"
    )
    return [Due(*row) for row in rows]


_OVER = "m.erased_at is null and coalesce(m.scheduled_at, m.accepted_at) < now() - make_interval(days => a.retention_days)"
_LEFT = "not exists (select from queue q where q.message_id = m.id)"

# Where the walk goes on, which of the page are over, and which are passed by: they are looked at later.
_PAGE = f"""
select m.id, {_OVER} and {_LEFT} as over, m.erased_at is null as has_text
from message m join account a on a.id = m.account_id
where m.account_id = $1 and m.id > $2 and m.id < $3 order by m.id limit $4
"""


async def erase_page(tx: Connection, of: Due, limit: int) -> Due | None:
    """The account's next messages; where to go on, None when that was all."""
    rows = await tx.fetch(_PAGE, *of, limit)
    await privacy.erase_texts(tx, Of.MESSAGE, [row["id"] for row in rows if row["over"]])
    await tx.execute(
        "insert into retention_late (message_id, account_id, look_at)"
        " select id, $2, now() from unnest($1::bigint[]) id on conflict do nothing",
        [row["id"] for row in rows if row["has_text"] and not row["over"]], of.account_id,
    )  # fmt: skip
    reached = rows[-1]["id"] if len(rows) == limit else of.before_id - 1
    await tx.execute(
        "insert into retention (account_id, message_id) values ($1, $2)"
        " on conflict (account_id) do update set message_id = greatest(retention.message_id, excluded.message_id)",
        of.account_id, reached,
    )  # fmt: skip
    return of._replace(after_id=reached) if len(rows) == limit else None


_LATE = f"""
select l.message_id as id, {_OVER} and {_LEFT} as over, m.id is null or m.erased_at is not null as gone
from retention_late l left join message m on m.id = l.message_id left join account a on a.id = m.account_id
where l.look_at <= now() order by l.look_at limit $1 for update of l skip locked
"""
# When it may leave the queue, or its time may be over; but soon enough for an account that changes its mind.
_LOOK_AGAIN = """
update retention_late l set look_at = greatest(now() + interval '1 hour', least(now() + interval '1 day', coalesce(
    (select q.due_at from queue q where q.message_id = l.message_id),
    coalesce(m.scheduled_at, m.accepted_at) + make_interval(days => a.retention_days))))
from message m join account a on a.id = m.account_id
where l.message_id = any($1::bigint[]) and m.id = l.message_id
"""


async def erase_late(tx: Connection, limit: int) -> int:
    """Messages that had been passed by; returns how many were looked at."""
    rows = await tx.fetch(_LATE, limit)
    over = [row["id"] for row in rows if row["over"]]
    await privacy.erase_texts(tx, Of.MESSAGE, over)
    done = over + [row["id"] for row in rows if row["gone"]]
    await tx.execute("delete from retention_late where message_id = any($1::bigint[])", done)
    await tx.execute(_LOOK_AGAIN, [row["id"] for row in rows if not row["over"] and not row["gone"]])
    return len(rows)


_OVER_REPLIES = "i.erased_at is null and i.received_at < now() - make_interval(days => {}) order by i.received_at limit $1"
_REPLIES = f"""
select i.id from account a cross join lateral (
    select i.id from inbox i where i.account_id = a.id and {_OVER_REPLIES.format("a.retention_days")}
) i
union all (select i.id from inbox i where i.account_id is null and {_OVER_REPLIES.format(_NOBODYS_DAYS)})
limit $1
"""


async def erase_replies(tx: Connection, limit: int) -> int:
    """Texts of replies; returns how many."""
    ids = [row["id"] for row in await tx.fetch(_REPLIES, limit)]
    await privacy.erase_texts(tx, Of.REPLY, ids)
    return len(ids)


async def campaigns(db: Db) -> list[tuple[int, datetime]]:
    """Accounts that have campaigns whose rows' time is over, and when it began to be (campaign_rows.erase)."""
    rows = await db.fetch(
        "select a.id, a.before from (select id, now() - make_interval(days => retention_days) as before from account"
        "  offset 0) a where exists (select from campaign c where c.account_id = a.id and c.erased_at is null"
        "   and (c.ended_at < a.before or (c.state = 4 and c.changed_at < a.before))) order by a.id"
    )
    return [(row["id"], row["before"]) for row in rows]
