"""Replies, as customers read them."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from pombo.store.database import Db

LEASE_S = 60
_COLUMNS = "i.id, i.source, i.body, i.client_ref, i.received_at"
_WITHIN = (
    "i.account_id = $1 and i.received_at >= coalesce($2::timestamptz, '-infinity')"
    " and i.received_at <= coalesce($3::timestamptz, 'infinity')"
)


async def lease_unread(
    db: Db, account_id: int, since: datetime | None, until: datetime | None, limit: int
) -> list[asyncpg.Record]:
    """The oldest replies that nobody has read or is reading, now leased for LEASE_S; each row has its `leased_until`."""
    rows = await db.fetch(
        "with due as ("
        f"  select id from inbox i where {_WITHIN} and read_at is null"
        "  and (leased_until is null or leased_until <= now())"
        "  order by received_at, id limit $4 for update skip locked)"
        f" update inbox i set leased_until = now() + make_interval(secs => {LEASE_S}) from due where i.id = due.id"
        f" returning {_COLUMNS}, i.leased_until",
        account_id, since, until, limit,
    )  # fmt: skip
    return sorted(rows, key=lambda row: (row["received_at"], row["id"]))


async def read_again(
    db: Db, account_id: int, since: datetime | None, until: datetime | None, after_id: int, limit: int
) -> list[asyncpg.Record]:
    """Replies read or not, oldest first, after the one with id `after_id` (0: from the beginning)."""
    return await db.fetch(
        f"select {_COLUMNS} from inbox i where {_WITHIN}"
        " and ($4::bigint = 0 or (i.received_at, i.id) > (select a.received_at, a.id from inbox a"
        "  where a.id = $4 and a.account_id = $1))"
        " order by i.received_at, i.id limit $5",
        account_id, since, until, after_id, limit,
    )  # fmt: skip


async def mark_read(db: Db, ids: Sequence[int]) -> None:
    await db.execute("update inbox set read_at = now() where id = any($1::bigint[]) and read_at is null", ids)


async def give_back(db: Db, ids: Sequence[int], leased_until: datetime) -> None:
    """The client went away before it had all: offer them again, unless another request holds them by now."""
    await db.execute(
        "update inbox set leased_until = null where id = any($1::bigint[]) and leased_until = $2 and read_at is null",
        ids, leased_until,
    )  # fmt: skip
