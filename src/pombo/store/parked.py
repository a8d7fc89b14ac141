"""Receipts that no message owns yet, for people. Planned for them, not for load."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.store.database import Db
from pombo.store.receipts import AttemptKey

_WAITS = timedelta(minutes=5)  # by then its response has come, if one comes


async def counted(db: Db, smsc_id: int | None, since: timedelta | None) -> int:
    return int(await db.fetchval(f"select count(*) from parked_receipt r where {_FITS}", smsc_id, since))


async def listed(db: Db, smsc_id: int | None, since: timedelta | None, limit: int) -> list[asyncpg.Record]:
    """id, smsc, raw_id, number, received_at, why; the newest first. None fits all."""
    return await db.fetch(
        f"""
        select r.id, s.name as smsc, r.raw_id, r.number, r.received_at,
               case when exists (select from parked_key k join attempt a on a.smsc_id = k.smsc_id and a.smsc_key = k.key
                                 where k.parked_receipt_id = r.id) then 'ambiguous'
                    when r.received_at > now() - $3::interval then 'waiting'
                    when r.raw_id = '' then 'no_id' else 'unknown_id' end as why
        from parked_receipt r left join smsc s on s.id = r.smsc_id where {_FITS} order by r.id desc limit $4
        """,
        smsc_id, since, _WAITS, limit,
    )  # fmt: skip


_FITS = "($1::int is null or r.smsc_id = $1) and ($2::interval is null or r.received_at > now() - $2)"


class Waiting(NamedTuple):
    id: int
    smsc_id: int
    smsc: str


async def those(db: Db, ids: Sequence[int]) -> list[Waiting]:
    """Raises PomboError for one that is not parked."""
    rows = await db.fetch(
        "select r.id, r.smsc_id, coalesce(s.name, r.smsc_id::text) from parked_receipt r"
        " left join smsc s on s.id = r.smsc_id where r.id = any($1::bigint[]) order by r.id",
        ids,
    )
    if missing := set(ids) - {row["id"] for row in rows}:
        raise PomboError(
            f"No receipt {min(missing)} waits: it found its message, or its 72 hours are over. "
            "`pombo receipt list` shows those that wait."
        )
    return [Waiting(*row) for row in rows]


async def open_attempts(db: Db, smsc_id: int, message_id: int) -> list[AttemptKey]:
    """Attempts at this message over this connection of which no final receipt has come."""
    rows = await db.fetch(
        "select message_id, part, n from attempt where message_id = $1 and smsc_id = $2 and state in (0, 1)"
        " order by part, n",
        message_id, smsc_id,
    )  # fmt: skip
    return [AttemptKey(*row) for row in rows]
