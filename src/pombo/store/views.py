"""Views: filters of messages that people of an account keep under a name, for all of them."""

import asyncpg

from pombo.store.database import Db

MOST = 20  # of an account


async def views(db: Db, account_id: int) -> list[asyncpg.Record]:
    """id, name, query: in order of age."""
    return await db.fetch(
        "select id, name, query from saved_view where account_id = $1 order by id", account_id
    )


async def save(db: Db, account_id: int, name: str, query: str) -> bool:
    """A view of this name is replaced. False when the account has MOST others already."""
    done = await db.fetch(
        "insert into saved_view (account_id, name, query) select $1, $2, $3"
        f" where (select count(*) from saved_view where account_id = $1 and name <> $2) < {MOST}"
        " on conflict (account_id, name) do update set query = excluded.query returning id",
        account_id, name, query,
    )  # fmt: skip
    return bool(done)


async def remove(db: Db, account_id: int, view_id: int) -> bool:
    """False when the account has no such view."""
    return bool(
        await db.fetch(
            "delete from saved_view where account_id = $1 and id = $2 returning id", account_id, view_id
        )
    )
