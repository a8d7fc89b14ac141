"""Whose replies are that answer no message: short codes and keywords, and the replies that nobody owns yet."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from pombo.errors import PomboError
from pombo.store.database import Db


async def add_owner(db: Db, number: str, keyword: str, account_id: int) -> None:
    """keyword: folded, '' for any first word. Raises PomboError when somebody has them already."""
    row = await db.fetchrow(
        "with new as (insert into reply_owner (address, keyword, number, account_id)"
        "  values (service_address($1), $2, $1, $3) on conflict do nothing returning 1)"
        " select o.account_id = $3 as same, a.name from reply_owner o join account a on a.id = o.account_id"
        " where o.address = service_address($1) and o.keyword = $2 and not exists (select from new)",
        number, keyword, account_id,
    )  # fmt: skip
    if row is not None and not row["same"]:
        what = f"{keyword!r} on {number}" if keyword else number
        raise PomboError(f"{what} belongs to {row['name']!r} already. Remove that first.")


async def remove_owner(db: Db, number: str, keyword: str) -> int | None:
    """The account whose it was; None when it was nobody's."""
    account_id = await db.fetchval(
        "delete from reply_owner where address = service_address($1) and keyword = $2 returning account_id",
        number, keyword,
    )  # fmt: skip
    return None if account_id is None else int(account_id)


async def owners(db: Db) -> list[asyncpg.Record]:
    """number, keyword, account_id, account; by number, the number alone last."""
    return await db.fetch(
        "select o.number, o.keyword, o.account_id, a.name as account"
        " from reply_owner o join account a on a.id = o.account_id order by o.address, o.keyword = '', o.keyword"
    )


async def keywords_of(db: Db, number: str) -> set[str]:
    """The keywords on this number that belong to somebody; '' where the number itself does."""
    rows = await db.fetch("select keyword from reply_owner where address = service_address($1)", number)
    return {row["keyword"] for row in rows}


async def unowned_to(db: Db, number: str, after_id: int, limit: int) -> list[asyncpg.Record]:
    """id, body: replies to this number that nobody owns yet, in order of id, after the one with the id `after_id`."""
    return await db.fetch(
        "select id, body from inbox where account_id is null and service_address(destination) = service_address($1)"
        " and id > $2 order by id limit $3",
        number, after_id, limit,
    )  # fmt: skip


# Their conversations as the trigger of new replies has them.
_ASSIGN = """
with given as (
    update inbox set account_id = $2 where id = any($1::bigint[]) and account_id is null returning id, source, received_at
), noted as (
    insert into conversation as c (account_id, handset, replies, last_at)
    select $2, source, count(*), max(received_at) from given group by source order by source
    on conflict (account_id, handset) do update
    set replies = c.replies + excluded.replies, last_at = greatest(c.last_at, excluded.last_at)
)
select id from given order by id
"""


async def assign(db: Db, reply_ids: Sequence[int], account_id: int) -> list[int]:
    """Give replies that nobody owns to an account; returns those it got."""
    return [row["id"] for row in await db.fetch(_ASSIGN, reply_ids, account_id)]


async def owned_by(db: Db, reply_ids: Sequence[int]) -> list[asyncpg.Record]:
    """id, account_id, account (its name; null where nobody owns the reply); of those that there are."""
    return await db.fetch(
        "select i.id, i.account_id, a.name as account from inbox i left join account a on a.id = i.account_id"
        " where i.id = any($1::bigint[]) order by i.id",
        reply_ids,
    )


async def replies(
    db: Db, *, unowned: bool, account_id: int | None, since: datetime | None, limit: int
) -> list[asyncpg.Record]:
    """The newest replies first, of everybody or of an account, or those that nobody owns."""
    owner = "i.account_id is null" if unowned else "true" if account_id is None else "i.account_id = $1"
    return await db.fetch(
        "select i.id, i.received_at, i.source, i.destination, i.body, i.data_coding, i.client_ref, i.read_at, i.account_id,"
        " i.erased_at, a.name as account, s.name as smsc"
        " from inbox i left join account a on a.id = i.account_id left join smsc s on s.id = i.smsc_id"
        f" where {owner} and ($1::bigint is null or true) and i.received_at >= coalesce($2::timestamptz, '-infinity')"
        " order by i.id desc limit $3",
        account_id, since, limit,
    )  # fmt: skip


async def count_unowned(db: Db) -> int:
    return int(await db.fetchval("select count(*) from inbox where account_id is null"))
