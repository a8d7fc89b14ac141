"""Where the links in an account's messages may lead."""

import asyncpg

from pombo.store.database import Db


async def guard(db: Db, account_id: int, *, on: bool) -> None:
    """Whether messages with links to other hosts are held for a person."""
    await db.execute("update account set links_guarded = $2 where id = $1", account_id, on)


async def add(db: Db, account_id: int, host: str) -> bool:
    """Whether it was not there yet. host: as text/links.py has it."""
    return bool(
        await db.fetchval(
            "insert into allowed_host (account_id, host) values ($1, $2) on conflict do nothing returning true",
            account_id, host,
        )
    )  # fmt: skip


async def remove(db: Db, account_id: int, host: str) -> bool:
    """Whether it was there."""
    return bool(
        await db.fetchval(
            "delete from allowed_host where account_id = $1 and host = $2 returning true", account_id, host
        )
    )


async def listed(db: Db, account_id: int | None) -> list[asyncpg.Record]:
    """account_id, account, guarded, hosts; of one account, or of all that are guarded or have hosts."""
    return await db.fetch(
        "select a.id as account_id, a.name as account, a.links_guarded as guarded,"
        "  array(select host from allowed_host h where h.account_id = a.id order by host) as hosts"
        " from account a where a.id = $1 or ($1::bigint is null and (a.links_guarded"
        "  or exists (select from allowed_host h where h.account_id = a.id))) order by a.id",
        account_id,
    )
