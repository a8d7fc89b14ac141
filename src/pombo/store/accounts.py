"""Accounts, tokens, credits."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.message import MessageClass
from pombo.store.database import Database, Db
from pombo.store.ledger import end_low_balance

ACCOUNT = (
    "a.id, a.name, a.active, a.balance_milli, a.price_milli, a.max_parts, a.text_mode, a.time_zone, a.class, a.demo,"
    " a.available_milli, a.billing, a.limit_milli, a.low_balance_milli, a.refund_rejected, a.refund_undelivered,"
    " a.networks as account_networks, a.marketing_window, a.requests_per_s, a.messages_per_s, a.messages_per_day,"
    " a.spend_per_day_milli, a.messages_per_prefix, a.countries, a.retention_days"
    # The hosts that its links may lead to; null where nobody minds.
    ", case when a.links_guarded then array(select host from allowed_host h where h.account_id = a.id) end as allowed_hosts"
)


class Source(NamedTuple):
    """What messages are sent from. SMPP 3.4 §5.2.5 to §5.2.8."""

    addr: str
    ton: int
    npi: int


async def sources(db: Db) -> dict[int, Source]:
    """By account, of those that have one of their own."""
    rows = await db.fetch(
        "select id, source_addr, source_ton, source_npi from account where source_addr <> ''"
    )
    return {row[0]: Source(*row[1:]) for row in rows}


async def set_source(db: Db, name: str, addr: str) -> None:
    """What the account of this name sends from, where it has no source of its own yet."""
    await db.execute("update account set source_addr = $2 where name = $1 and source_addr = ''", name, addr)


async def accounts_of_tokens(db: Db, token_hmacs: Sequence[bytes]) -> list[asyncpg.Record]:
    """The accounts that live tokens belong to, each with its token (account/token.py)."""
    return await db.fetch(
        f"select t.hmac, t.id as token_id, t.class as token_class, t.scopes, t.networks, t.expires_at,"
        f" {ACCOUNT} from token t join account a on a.id = t.account_id"
        " where t.hmac = any($1::bytea[]) and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())",
        token_hmacs,
    )


async def account(db: Db, name_or_id: str) -> asyncpg.Record:
    """By name, or by id where no account has that name. Raises PomboError when there is none."""
    row = await db.fetchrow(
        f"select {ACCOUNT} from account a where a.name = $1 or a.id::text = $1 order by a.name = $1 desc limit 1",
        name_or_id,
    )
    if row is None:
        raise PomboError(f"There is no account {name_or_id!r}. `pombo account list` shows those there are.")
    return row


async def of_id(db: Db, account_id: int) -> asyncpg.Record:
    """Of an id that is known to be one: accounts are never removed."""
    row = await db.fetchrow(f"select {ACCOUNT} from account a where a.id = $1", account_id)
    assert row is not None
    return row


async def accounts(db: Db) -> list[asyncpg.Record]:
    return await db.fetch(f"select {ACCOUNT} from account a order by a.id")


async def optout(db: Db, account_id: int) -> asyncpg.Record:
    """The account, with the `optout_text` that confirms an opt-out; '' where it has none of its own."""
    row = await db.fetchrow(f"select {ACCOUNT}, a.optout_text from account a where a.id = $1", account_id)
    assert row is not None
    return row


async def set_optout_text(db: Db, account_id: int, text: str) -> None:
    await db.execute("update account set optout_text = $2 where id = $1", account_id, text)


async def balance(db: Db, account_id: int) -> asyncpg.Record:
    """balance_milli, billing, limit_milli (0 where there is none), price_milli, at: as they stand now."""
    row = await db.fetchrow(
        "select balance_milli, billing, case billing when 'postpaid' then limit_milli else 0 end as limit_milli,"
        " price_milli, now() as at from account where id = $1",
        account_id,
    )
    assert row is not None, "accounts are never removed"
    return row


async def add_account(
    db: Database,
    name: str,
    balance_milli: int,
    token_hmac: bytes,
    token_prefix: str,
    *,
    price_milli: int = 80,
    message_class: int = MessageClass.TRANSACTIONAL,
    demo: bool = False,
) -> int:
    """The account, its first token and its first recharge, in one commit. Raises PomboError for a name in use."""
    try:
        async with db.transaction() as tx:
            account_id = await tx.fetchval(
                "insert into account (name, balance_milli, price_milli, class, demo) values ($1, $2, $3, $4, $5)"
                " returning id",
                name, balance_milli, price_milli, message_class, demo,
            )  # fmt: skip
            if balance_milli:
                await tx.execute(
                    "insert into ledger (account_id, kind, amount_milli, note) values ($1, 'recharge', $2, 'first balance')",
                    account_id, balance_milli,
                )  # fmt: skip
            await _insert_token(tx, account_id, token_hmac, token_prefix)
            return int(account_id)
    except asyncpg.UniqueViolationError:
        raise PomboError(f"There is an account {name!r} already.") from None


_TERMS = (
    "active",
    "time_zone",
    "class",
    "price_milli",
    "billing",
    "limit_milli",
    "low_balance_milli",
    "refund_rejected",
    "refund_undelivered",
    "text_mode",
    "networks",
    "marketing_window",
    "retention_days",
    "max_parts",
    "requests_per_s",
    "messages_per_s",
    "messages_per_day",
    "spend_per_day_milli",
    "messages_per_prefix",
    "countries",
)


async def change_account(db: Database, account_id: int, terms: Mapping[str, object]) -> None:
    """terms: new values of these columns. Raises PomboError when it would owe more than it may then."""
    columns = [column for column in _TERMS if column in terms]
    assert columns and len(columns) == len(terms), "only terms are changed here"
    sets = ", ".join(f"{column} = ${place}" for place, column in enumerate(columns, 2))
    try:
        async with db.transaction() as tx:
            await tx.execute(
                f"update account set {sets} where id = $1", account_id, *(terms[column] for column in columns)
            )
            await end_low_balance(tx, account_id)
    except asyncpg.CheckViolationError:
        raise PomboError(
            "The account owes more than it may then: recharge it before, or leave it more."
        ) from None


async def knows_zone(db: Db, name: str) -> bool:
    """Whether the database has this time zone, by which it counts an account's days."""
    return bool(await db.fetchval("select exists (select from pg_timezone_names where name = $1)", name))


async def _insert_token(db: Db, account_id: int, token_hmac: bytes, token_prefix: str) -> None:
    await db.execute(
        "insert into token (account_id, hmac, prefix) values ($1, $2, $3)",
        account_id,
        token_hmac,
        token_prefix,
    )


async def demo_names(db: Db) -> Sequence[str]:
    """Accounts and connections that `demo` made."""
    rows = await db.fetch(
        "select 'account ' || name as name from account where demo union all select 'smsc ' || name from smsc where demo"
    )
    return [row["name"] for row in rows]
