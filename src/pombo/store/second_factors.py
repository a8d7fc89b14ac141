"""Second factors of people, their recovery codes, and sign-ins that wait for a code."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from pombo.store.database import Db


async def begin(db: Db, person_id: int, secret_sealed: bytes) -> bool:
    """In place of one that was only begun. False where one is on."""
    found = await db.fetchval(
        "insert into second_factor as f (person_id, secret_sealed) values ($1, $2) on conflict (person_id) do update"
        " set secret_sealed = excluded.secret_sealed where f.on_since is null returning true",
        person_id,
        secret_sealed,
    )
    return bool(found)


async def of(db: Db, person_id: int) -> asyncpg.Record | None:
    """secret_sealed, on_since, wrong, codes_left; also of one that was only begun."""
    return await db.fetchrow(
        "select secret_sealed, on_since, wrong,"
        " (select count(*) from recovery_code c where c.person_id = f.person_id) as codes_left"
        " from second_factor f where person_id = $1",
        person_id,
    )


async def turn_on(db: Db, person_id: int, secret_sealed: bytes, step: int) -> bool:
    """False where it is on already, or was begun anew meanwhile."""
    found = await db.fetchval(
        "update second_factor set on_since = now(), last_step = $3"
        " where person_id = $1 and secret_sealed = $2 and on_since is null returning true",
        person_id, secret_sealed, step,
    )  # fmt: skip
    return bool(found)


async def turn_off(db: Db, person_id: int) -> bool:
    """With its recovery codes; a sign-in that waits for one begins anew. False where none is on."""
    found = await db.fetchval(
        "with halves as (delete from sign_in_half where person_id = $1)"
        " delete from second_factor where person_id = $1 returning on_since is not null",
        person_id,
    )
    return bool(found)


async def use_step(db: Db, person_id: int, step: int, most_wrong: int) -> bool:
    """False where a code of this step or a later one was used already, or too many were wrong."""
    found = await db.fetchval(
        "update second_factor set last_step = $2, wrong = 0"
        " where person_id = $1 and on_since is not null and last_step < $2 and wrong < $3 returning true",
        person_id, step, most_wrong,
    )  # fmt: skip
    return bool(found)


async def count_wrong(db: Db, person_id: int) -> None:
    await db.execute("update second_factor set wrong = wrong + 1 where person_id = $1", person_id)


async def use_recovery_code(db: Db, person_id: int, hmac: bytes) -> bool:
    found = await db.fetchval(
        "with used as (delete from recovery_code where person_id = $1 and hmac = $2 returning person_id)"
        " update second_factor f set wrong = 0 from used where f.person_id = used.person_id returning true",
        person_id,
        hmac,
    )
    return bool(found)


async def replace_recovery_codes(db: Db, person_id: int, hmacs: Sequence[bytes]) -> None:
    await db.execute(
        "with old as (delete from recovery_code where person_id = $1)"
        " insert into recovery_code (person_id, hmac) select $1, unnest($2::bytea[])",
        person_id,
        hmacs,
    )


# Half-way in


async def begin_half(
    db: Db, hmac: bytes, person_id: int, *, by_code: bool, kept: bool, length: timedelta
) -> None:
    await db.execute(
        "with old as (delete from sign_in_half where ends_at < now())"
        " insert into sign_in_half (hmac, person_id, by_code, kept, ends_at) values ($1, $2, $3, $4, now() + $5)",
        hmac, person_id, by_code, kept, length,
    )  # fmt: skip


async def half(db: Db, hmac: bytes) -> asyncpg.Record | None:
    """person_id, email, by_code, kept: who has shown a password, and is asked for a code."""
    return await db.fetchrow(
        "select h.person_id, p.email, h.by_code, h.kept from sign_in_half h join person p on p.id = h.person_id"
        " where h.hmac = $1 and h.ends_at > now()",
        hmac,
    )


async def end_half(db: Db, hmac: bytes) -> bool:
    """False where it has ended already."""
    found = await db.fetchval(
        "delete from sign_in_half where hmac = $1 and ends_at > now() returning true", hmac
    )
    return bool(found)
