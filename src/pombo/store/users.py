"""People who use the panel: who they are, their sessions, and what lets them in."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import asyncpg

from pombo.store.accounts import ACCOUNT
from pombo.store.database import Db

_PERSON = (
    "p.id as person_id, p.account_id, p.email, p.name as person_name, p.role, p.password_hash is not null as has_password,"
    " p.locale, p.theme, p.created_at, p.signed_in_at,"
    " exists (select from second_factor f where f.person_id = p.id and f.on_since is not null) as has_second_factor"
)


async def add(db: Db, account_id: int, email: str, name: str, role: str) -> int | None:
    """None when somebody has this address already, in whatever account."""
    found = await db.fetchval(
        "insert into person (account_id, email, name, role) values ($1, $2, $3, $4) on conflict (email) do nothing"
        " returning id",
        account_id, email, name, role,
    )  # fmt: skip
    return None if found is None else int(found)


async def people(db: Db, account_id: int | None) -> list[asyncpg.Record]:
    """account_id: None for all accounts."""
    return await db.fetch(
        f"select {_PERSON}, a.name as account from person p join account a on a.id = p.account_id"
        " where $1::bigint is null or p.account_id = $1 order by a.name, p.email",
        account_id,
    )


async def person(db: Db, account_id: int | None, person_id: int) -> asyncpg.Record | None:
    return await db.fetchrow(
        f"select {_PERSON}, a.name as account from person p join account a on a.id = p.account_id"
        " where p.id = $2 and ($1::bigint is null or p.account_id = $1)",
        account_id,
        person_id,
    )


async def by_email(db: Db, email: str) -> asyncpg.Record | None:
    """With the hash of their password."""
    return await db.fetchrow(
        f"select {_PERSON}, p.password_hash, a.name as account from person p join account a on a.id = p.account_id"
        " where p.email = $1",
        email,
    )


async def lock_people(db: Db, account_id: int) -> int:
    """How many admins the account has. Nobody else adds, changes or removes one until the commit."""
    return int(
        await db.fetchval(
            "select count(*) filter (where role = 'admin') from"
            " (select role from person where account_id = $1 order by id for update) p",
            account_id,
        )
    )


async def set_role(db: Db, person_id: int, role: str) -> None:
    await db.execute("update person set role = $2 where id = $1", person_id, role)


async def set_name(db: Db, person_id: int, name: str) -> None:
    await db.execute("update person set name = $2 where id = $1", person_id, name)


async def set_preferences(db: Db, person_id: int, *, locale: str | None, theme: str) -> None:
    await db.execute("update person set locale = $2, theme = $3 where id = $1", person_id, locale, theme)


async def set_password(db: Db, person_id: int, password_hash: str) -> None:
    """Whoever is half-way in by another one begins anew."""
    await db.execute(
        "with halves as (delete from sign_in_half where person_id = $1)"
        " update person set password_hash = $2 where id = $1",
        person_id,
        password_hash,
    )


async def password_hash(db: Db, person_id: int) -> str | None:
    found: str | None = await db.fetchval("select password_hash from person where id = $1", person_id)
    return found


async def remove(db: Db, person_id: int) -> None:
    """With their sessions and codes."""
    await db.execute("delete from person where id = $1", person_id)


# Codes


async def add_code(db: Db, person_id: int, hmac: bytes, length: timedelta) -> None:
    """The only one of this person: those from before it end."""
    await db.execute(
        "with old as (delete from sign_in_code where person_id = $1 or ends_at < now())"
        " insert into sign_in_code (hmac, person_id, ends_at) values ($2, $1, now() + $3)",
        person_id, hmac, length,
    )  # fmt: skip


async def code(db: Db, hmac: bytes) -> asyncpg.Record | None:
    """Whom a code lets in, without using it up."""
    return await db.fetchrow(
        f"select {_PERSON}, a.name as account, a.demo from sign_in_code c join person p on p.id = c.person_id"
        " join account a on a.id = p.account_id where c.hmac = $1 and c.ends_at > now()",
        hmac,
    )


async def use_code(db: Db, hmac: bytes) -> int | None:
    """Whom it lets in, this once."""
    found = await db.fetchval(
        "delete from sign_in_code where hmac = $1 and ends_at > now() returning person_id", hmac
    )
    return None if found is None else int(found)


# Sessions


async def begin_session(db: Db, person_id: int, hmac: bytes, terms: Mapping[str, object]) -> int:
    """terms: by_code, idle, length, address, browser. What has ended of this person's goes. It is an access, too."""
    return int(
        await db.fetchval(
            "with over as (delete from panel_session where person_id = $1"
            " and (ends_at <= now() or used_at + idle <= now())),"
            " seen as (update person set signed_in_at = now() where id = $1),"
            " noted as (insert into access as a (minute_at, kind, who, what, address, account_id, times)"
            "  select date_trunc('minute', now()), 'panel', 'person ' || id, 'sign in', $6, account_id, 1 from person"
            "  where id = $1"
            "  on conflict (minute_at, kind, who, what, address, account_id) do update set times = a.times + 1)"
            " insert into panel_session (person_id, hmac, by_code, idle, ends_at, address, browser)"
            " values ($1, $2, $3, $4, now() + $5, $6, $7) returning id",
            person_id, hmac, terms["by_code"], terms["idle"], terms["length"], terms["address"], terms["browser"],
        )
    )  # fmt: skip


async def session(db: Db, hmac: bytes) -> asyncpg.Record | None:
    """A session that is not over, with its person and account; from now on used. fresh: it began a moment ago."""
    return await db.fetchrow(
        "with used as (update panel_session set used_at = now() where hmac = $1 and used_at < now() - interval '1 minute'"
        "  and ends_at > now() and used_at + idle > now())"
        f" select s.id as session_id, s.by_code and s.created_at > now() - interval '15 minutes' as by_code, {_PERSON},"
        f" {ACCOUNT} from panel_session s join person p on p.id = s.person_id join account a on a.id = p.account_id"
        " where s.hmac = $1 and s.ends_at > now() and s.used_at + s.idle > now()",
        hmac,
    )


async def is_open(db: Db, session_id: int) -> bool:
    return bool(
        await db.fetchval(
            "select exists (select from panel_session where id = $1 and ends_at > now() and used_at + idle > now())",
            session_id,
        )
    )


async def sessions(db: Db, person_id: int) -> list[asyncpg.Record]:
    """That are not over, the one used last first."""
    return await db.fetch(
        "select id, address, browser, created_at, used_at, ends_at from panel_session"
        " where person_id = $1 and ends_at > now() and used_at + idle > now() order by used_at desc, id desc",
        person_id,
    )


async def end_session(db: Db, person_id: int, session_id: int) -> bool:
    """False where this person has no such session."""
    found = await db.fetchval(
        "delete from panel_session where id = $2 and person_id = $1 returning id", person_id, session_id
    )
    return found is not None


async def end_sessions(db: Db, person_id: int, *, but: int | None = None) -> int:
    """All of a person's, but one. How many there were."""
    rows = await db.fetch(
        "delete from panel_session where person_id = $1 and id is distinct from $2 returning id",
        person_id,
        but,
    )
    return len(rows)


# Tries


async def begin_try(db: Db, hmacs: Sequence[bytes], within: timedelta) -> asyncpg.Record:
    """Counts a try before its password is looked at, so that many at a time are not too many. ids: to take it back by.

    A statement does not see what it inserts, and sees what others committed before: ask `tries` next.
    """
    row = await db.fetchrow(
        "with old as (delete from sign_in_try where at < now() - $2::interval),"
        " new as (insert into sign_in_try (hmac) select unnest($1::bytea[]) returning id)"
        " select array_agg(id) as ids from new",
        hmacs,
        within,
    )
    assert row is not None
    return row


async def tries(db: Db, hmacs: Sequence[bytes], within: timedelta) -> list[asyncpg.Record]:
    """hmac, count, and how long until the oldest of them is forgotten (wait)."""
    return await db.fetch(
        "select hmac, count(*) as count, min(at) + $2::interval - now() as wait from sign_in_try"
        " where hmac = any($1::bytea[]) and at > now() - $2::interval group by hmac",
        hmacs,
        within,
    )


async def forget_tries(db: Db, ids: Sequence[int]) -> None:
    await db.execute("delete from sign_in_try where id = any($1::bigint[])", ids)
