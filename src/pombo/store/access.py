"""Who used the platform, when, and from which address: kept for six months (Marco Civil da Internet, art. 15), and read by
nobody but those who must. What happened in one minute in the same way is one row."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.store.database import Db

KEPT_MONTHS = 6


class Access(NamedTuple):
    minute_at: datetime
    kind: str  # 'api', 'panel', 'command'
    who: str  # 'token 3', 'person 7', 'cli:maria@gateway1'
    what: str  # 'send', 'read'; 'sign in'; the command's words
    address: str  # '': not known, or this machine itself
    account_id: int  # 0: none
    times: int


async def add(db: Db, accesses: Sequence[Access]) -> None:
    """To what is there of the same minutes. Each minute, kind, … once; in whatever order."""
    await db.execute(
        "insert into access (minute_at, kind, who, what, address, account_id, times) select * from"
        " unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[])"
        " on conflict (minute_at, kind, who, what, address, account_id)"
        " do update set times = access.times + excluded.times",
        *map(list, zip(*sorted(accesses), strict=True)),
    )


async def note(db: Db, kind: str, who: str, what: str, address: str, account_id: int = 0) -> None:
    """One access, now."""
    await db.execute(
        "insert into access (minute_at, kind, who, what, address, account_id, times)"
        " values (date_trunc('minute', now()), $1, $2, $3, $4, $5, 1)"
        " on conflict (minute_at, kind, who, what, address, account_id) do update set times = access.times + 1",
        kind, who, what, address, account_id,
    )  # fmt: skip


class Which(NamedTuple):
    """Which accesses; None fits all. until: excluded."""

    account_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    address: str | None = None


async def page(db: Db, which: Which, before: asyncpg.Record | None, limit: int) -> list[asyncpg.Record]:
    """The newest first, with the account's name. before: the last one of the page before."""
    place = (None,) * 6 if before is None else tuple(before[column] for column in _KEY)
    return await db.fetch(
        "select x.minute_at, x.kind, x.who, x.what, x.address, x.account_id, x.times, a.name as account from access x"
        " left join account a on a.id = x.account_id"
        " where ($1::bigint is null or x.account_id = $1) and ($2::timestamptz is null or x.minute_at >= $2)"
        " and ($3::timestamptz is null or x.minute_at < $3) and ($4::text is null or x.address = $4)"
        " and ($5::timestamptz is null or (x.minute_at, x.kind, x.who, x.what, x.address, x.account_id)"
        "  < ($5, $6::text, $7::text, $8::text, $9::text, $10::bigint))"
        " order by x.minute_at desc, x.kind desc, x.who desc, x.what desc, x.address desc, x.account_id desc limit $11",
        *which, *place, limit,
    )  # fmt: skip


_KEY = ("minute_at", "kind", "who", "what", "address", "account_id")


async def drop_old(db: Db, limit: int) -> int:
    """Those that need not be kept any more; returns how many."""
    rows = await db.fetch(
        "delete from access where ctid = any(array(select ctid from access"
        f" where minute_at < now() - interval '{KEPT_MONTHS} months' order by minute_at limit $1)) returning 1",
        limit,
    )
    return len(rows)
