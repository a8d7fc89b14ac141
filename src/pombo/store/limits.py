"""How far accounts have used their limits: what the intake asks under their locks, and what people are shown.

Days are those of the account's time zone, seconds and hours those of the database's clock, which all processes share.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pombo.store.database import Db

# To join with a row of `account`, called `l`: the day and the second that it counts now. A clock that steps back a
# little does not begin a new one.
PERIOD = """
lateral (
    select case when l.used_on between t.day and t.day + 1 then l.used_on else t.day end as day,
           case when l.used_second between t.second and t.second + interval '1 minute' then l.used_second
                else t.second end as second
    from (select (clock_timestamp() at time zone l.time_zone)::date as day,
                 date_trunc('second', clock_timestamp()) as second) t
) p
"""
DAY_MESSAGES = "case when p.day = l.used_on then l.day_messages else 0 end"
DAY_SPENT_MILLI = "case when p.day = l.used_on then l.day_spent_milli else 0 end"
SECOND_MESSAGES = "case when p.second = l.used_second then l.second_messages else 0 end"
COLUMNS = (
    "messages_per_s, messages_per_day, spend_per_day_milli, used_on, day_messages, day_spent_milli, used_second,"
    " second_messages, time_zone"
)


class Left(NamedTuple):
    """What an account may still have accepted at this moment; None: no limit."""

    available_milli: int
    second_messages: int | None
    day_messages: int | None
    day_milli: int | None


_LOCK = f"""
with locked as materialized (
    select id, available_milli, {COLUMNS} from account where id = any($1::bigint[]) order by id for no key update
)
select l.id, l.available_milli, nullif(l.messages_per_s, 0) - {SECOND_MESSAGES},
       nullif(l.messages_per_day, 0) - {DAY_MESSAGES}, nullif(l.spend_per_day_milli, 0) - {DAY_SPENT_MILLI}
from locked l cross join {PERIOD}
"""


async def lock(db: Db, account_ids: Sequence[int]) -> dict[int, Left]:
    """Lock the accounts for this transaction, in order of id."""
    return {row[0]: Left(*row[1:]) for row in await db.fetch(_LOCK, account_ids)}


class Used(NamedTuple):
    """Today, in the account's time zone."""

    messages: int  # accepted
    spent_milli: int  # charged, before refunds


async def used_today(db: Db, account_id: int) -> Used:
    row = await db.fetchrow(
        f"select {DAY_MESSAGES}, {DAY_SPENT_MILLI} from account l cross join {PERIOD} where l.id = $1",
        account_id,
    )
    assert row is not None, "accounts are never removed"
    return Used(*row)


class Prefix(NamedTuple):
    """Messages of this hour to numbers that begin so."""

    prefix: int
    messages: int
    refused: int


async def prefixes(db: Db, account_ids: Sequence[int], prefixes: Sequence[int]) -> dict[tuple[int, int], int]:
    """How many messages there were in this hour, by account and prefix. Under the accounts' locks."""
    rows = await db.fetch(
        "select v.account_id, v.prefix, v.messages from unnest($1::bigint[], $2::bigint[]) t(account_id, prefix)"
        " join velocity v using (account_id, prefix) where v.hour_at = date_trunc('hour', clock_timestamp())",
        account_ids, prefixes,
    )  # fmt: skip
    return {(row[0], row[1]): row[2] for row in rows}


async def prefixes_at_limit(db: Db, account_id: int, limit: int) -> list[Prefix]:
    """Where messages were refused in this hour or the one before, the worst first."""
    rows = await db.fetch(
        "select prefix, messages, refused from velocity where account_id = $1 and refused > 0"
        " and hour_at > now() - interval '2 hours' order by refused desc, prefix limit $2",
        account_id, limit,
    )  # fmt: skip
    return [Prefix(*row) for row in rows]


async def refused_by_prefix(
    db: Db, account_ids: Sequence[int], prefixes: Sequence[int], counts: Sequence[int]
) -> None:
    """Messages were refused: remember it, and tell the operator. Under the accounts' locks."""
    await db.execute(
        "with noted as (update velocity v set refused = v.refused + t.count"
        "  from unnest($1::bigint[], $2::bigint[], $3::int[]) t(account_id, prefix, count)"
        "  where v.account_id = t.account_id and v.prefix = t.prefix)"
        " insert into notice (account_id, kind) select distinct unnest($1::bigint[]), 'prefix_limit' order by 1"
        " on conflict do nothing",
        account_ids, prefixes, counts,
    )  # fmt: skip


async def drop_old_prefixes(db: Db) -> None:
    """Those of hours that are over, and notices of accounts of which nothing is refused any more."""
    # Who accepts just now has a row: it is not waited for, because it may wait for another one of ours.
    await db.execute(
        "delete from velocity where ctid = any(array(select ctid from velocity"
        " where hour_at < now() - interval '2 hours' for update skip locked))"
    )
    await db.execute(
        "update notice n set ended_at = now() where kind = 'prefix_limit' and ended_at is null and not exists"
        " (select from velocity v where v.account_id = n.account_id and v.refused > 0)"
    )
