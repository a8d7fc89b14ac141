"""API tokens: what people change of them, and when they were used."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.config import Network
from pombo.errors import PomboError
from pombo.store.database import Db

_COLUMNS = (
    "t.id, t.account_id, a.name as account, t.prefix, t.name, t.class, t.scopes, t.networks, t.created_at, t.used_at,"
    " t.expires_at, t.revoked_at,"
    " case when t.revoked_at is not null then 'revoked' when t.expires_at <= now() then 'expired' else 'valid' end as state"
)


class Terms(NamedTuple):
    """What a token may do, from where, and until when."""

    name: str
    message_class: int | None  # message.MessageClass; None: the account's
    scopes: Sequence[str]
    networks: Sequence[Network]  # empty: any
    expires_at: datetime | None


async def add(
    db: Db,
    account_id: int,
    hmac: bytes,
    prefix: str,
    terms: Terms,
) -> int:
    """Raises PomboError when some account has this token already, or had it."""
    try:
        return int(
            await db.fetchval(
                "insert into token (account_id, hmac, prefix, name, class, scopes, networks, expires_at)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
                account_id, hmac, prefix, *terms,
            )
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise PomboError("This token is in use already.") from None


async def tokens(db: Db, account_id: int | None, *, over: bool) -> list[asyncpg.Record]:
    """account_id: None for all accounts. over: also those that are revoked or expired."""
    return await db.fetch(
        f"select {_COLUMNS} from token t join account a on a.id = t.account_id"
        " where ($1::bigint is null or t.account_id = $1)"
        " and ($2 or (t.revoked_at is null and (t.expires_at is null or t.expires_at > now()))) order by a.name, t.id",
        account_id,
        over,
    )


async def token(db: Db, token_id: int, account_id: int | None = None) -> asyncpg.Record:
    """account_id: whose it is; None for whosever. Raises PomboError when there is none."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from token t join account a on a.id = t.account_id"
        " where t.id = $1 and ($2::bigint is null or t.account_id = $2)",
        token_id,
        account_id,
    )
    if row is None:
        raise PomboError(f"There is no token {token_id}. `pombo token list --all` shows those there are.")
    return row


async def change(
    db: Db,
    token_id: int,
    terms: Terms,
) -> None:
    await db.execute(
        "update token set name = $2, class = $3, scopes = $4, networks = $5, expires_at = $6 where id = $1",
        token_id,
        *terms,
    )


async def rotate(db: Db, token_id: int, hmac: bytes, prefix: str, overlap_s: int) -> asyncpg.Record | None:
    """A new token like the old one, which ends after the overlap, or earlier if it was to; in one statement.

    The new one's `id` and the old one's `ends_at`; None when the old one has ended already.
    """
    return await db.fetchrow(
        "with old as (update token set expires_at = least(expires_at, now() + make_interval(secs => $4))"
        " where id = $1 and revoked_at is null and (expires_at is null or expires_at > now())"
        " returning account_id, name, class, scopes, networks, expires_at as ends_at),"
        " new as (insert into token (account_id, hmac, prefix, name, class, scopes, networks)"
        " select account_id, $2, $3, name, class, scopes, networks from old returning id)"
        " select new.id, old.ends_at from new, old",
        token_id,
        hmac,
        prefix,
        float(overlap_s),
    )


async def revoke(db: Db, token_id: int) -> bool:
    """At once and for good; False when it was revoked before."""
    return bool(
        await db.fetchval(
            "update token set revoked_at = now() where id = $1 and revoked_at is null returning true",
            token_id,
        )
    )


async def used(db: Db, token_ids: Sequence[int], times: Sequence[datetime]) -> None:
    """Tells nobody: the trigger does not listen to this column."""
    await db.execute(
        "update token set used_at = t.at from unnest($1::bigint[], $2::timestamptz[]) t(id, at)"
        " where token.id = t.id and (token.used_at is null or token.used_at < t.at)",
        token_ids,
        times,
    )
