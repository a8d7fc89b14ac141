"""Operator connections."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
from pombo.message import AttemptState, QueueState
from pombo.store.database import Db


class Smsc(NamedTuple):
    """One operator connection, as it is configured."""

    id: int
    name: str
    host: str
    port: int
    system_id: str
    password_sealed: bytes
    system_type: str
    window_size: int
    rate_per_s: float  # 0: no limit
    alphabet: str  # 'gsm', 'latin1' or 'ascii': its default alphabet
    source_addr: str
    source_ton: int
    source_npi: int
    uncertain_policy: str  # 'resend' or 'hold'
    validity_s: int
    bind_mode: str  # 'transceiver', or 'pair': a transmitter and a receiver
    binds: int  # so many transceivers, or pairs
    tls: bool
    tls_ca: str  # PEM; '': whom the system trusts
    tls_name: str  # in the operator's certificate; '': host
    long_mode: str  # 'udh8', 'udh16', 'sar' or 'payload'
    receipt_ids: str  # 'auto' (learned), 'raw', 'hex' or 'dec'
    operator_validity_s: int  # validity_period of each submit; 0: the operator's default
    response_timeout_s: int
    enquire_link_s: int
    patience_s: int  # down for longer: its messages go elsewhere
    wanted: str  # 'started', 'draining' or 'stopped'
    verdicts: Mapping[
        int, str
    ]  # command_status: 'final', 'temporary' or 'throttling', where that is not the usual


async def smscs(db: Db) -> list[Smsc]:
    rows = await db.fetch(f"select {', '.join(Smsc._fields)} from smsc order by id")
    return [Smsc(*row)._replace(verdicts=_verdicts(row["verdicts"])) for row in rows]


def _verdicts(text: str) -> Mapping[int, str]:
    return MappingProxyType({int(status): verdict for status, verdict in json.loads(text).items()})


async def add_smsc(
    db: Db, name: str, host: str, port: int, system_id: str, password_sealed: bytes, **options: object
) -> int:
    """options: columns of the table. Raises PomboError for a name in use or a value out of its range."""
    columns = {
        "name": name,
        "host": host,
        "port": port,
        "system_id": system_id,
        "password_sealed": password_sealed,
    }
    columns |= _stored(options)
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    with _refusals(name):
        return int(
            await db.fetchval(
                f"insert into smsc ({', '.join(columns)}) values ({places}) returning id", *columns.values()
            )
        )


async def change_smsc(db: Db, smsc_id: int, **columns: object) -> None:
    """columns: of the table, with their new values. Raises PomboError as `add_smsc` does.

    Whoever says how receipts write ids, `auto` again included, wants what was learned of it forgotten.
    """
    if "receipt_ids" in columns:
        columns["id_form"] = None
    places = ", ".join(f"{column} = ${n}" for n, column in enumerate(columns, start=2))
    with _refusals(str(columns.get("name"))):
        await db.execute(f"update smsc set {places} where id = $1", smsc_id, *_stored(columns).values())


def _stored(columns: Mapping[str, object]) -> dict[str, object]:
    return {column: json.dumps(value) if column == "verdicts" else value for column, value in columns.items()}


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError:
        raise PomboError(f"There is a connection {name!r} already.") from None
    except asyncpg.CheckViolationError as error:
        raise PomboError(f"A value is out of its range: {error.constraint_name}.") from None


async def named(db: Db, name_or_id: str) -> Smsc:
    """By name, or by id where no connection has that name. Raises PomboError when there is none."""
    found = await smscs(db)
    for smsc in found:
        if smsc.name == name_or_id:
            return smsc
    for smsc in found:
        if str(smsc.id) == name_or_id:
            return smsc
    raise PomboError(f"There is no connection {name_or_id!r}. `pombo smsc list` shows those there are.")


class Standing(NamedTuple):
    """How a connection stands at this moment."""

    bound: int  # binds that the operator has taken and that stand
    down_since: datetime | None  # None while something is bound, and before the first bind
    id_form: str | None  # learned: how receipts write ids
    waiting: int  # messages in the queue
    writing: int
    held: int


async def standings(db: Db) -> dict[int, Standing]:
    """By the connection's id. Planned for people, not for load: it counts the queue."""
    rows = await db.fetch(
        f"""
        select s.id, coalesce(b.bound, 0), l.down_since, s.id_form, coalesce(q.waiting, 0), coalesce(q.writing, 0),
               coalesce(q.held, 0)
        from smsc s
        left join link l on l.smsc_id = s.id
        left join (
            select e.smsc_id, count(*) as bound from session e
            join lease o on o.smsc_id = e.smsc_id and o.holder = e.holder and o.lease_until > now()
            where e.ended_at is null and e.bound_at is not null group by e.smsc_id
        ) b on b.smsc_id = s.id
        left join (
            select smsc_id, count(*) filter (where state = {QueueState.WAITING:d}) as waiting,
                   count(*) filter (where state = {QueueState.WRITING:d}) as writing,
                   count(*) filter (where state = {QueueState.HELD:d}) as held
            from queue group by smsc_id
        ) q on q.smsc_id = s.id
        """
    )
    return {row[0]: Standing(*row[1:]) for row in rows}


async def unconfirmed(db: Db, smsc_id: int) -> int:
    """Parts that the operator took in the last three days and whose final receipt has not come."""
    return int(
        await db.fetchval(
            f"select count(*) from attempt where smsc_id = $1 and state = {AttemptState.TAKEN:d}"
            " and submitted_at > now() - interval '3 days'",
            smsc_id,
        )
    )


async def routes_over(db: Db, smsc_id: int) -> list[int]:
    """Numbers of the routes that lead over a connection."""
    return [
        row["id"] for row in await db.fetch("select id from route where smsc_id = $1 order by id", smsc_id)
    ]


async def remove_smsc(db: Db, smsc_id: int) -> bool:
    """Its messages and attempts stay; nothing of them refers to it any more but its number. False when a message in
    the queue is for it."""
    removed = (
        "delete from smsc where id = $1 and not exists (select from queue where smsc_id = $1) returning true"
    )
    return bool(await db.fetchval(removed, smsc_id))


async def move_smsc(db: Db, smsc_id: int, host: str, port: int) -> None:
    """A connection's new address."""
    await db.execute(
        "update smsc set host = $2, port = $3 where id = $1 and (host, port) <> ($2, $3)", smsc_id, host, port
    )


async def id_form(db: Db, smsc_id: int) -> tuple[str, str | None]:
    """receipt_ids, and how the connection writes message ids in receipts where that was learned."""
    row = await db.fetchrow("select receipt_ids, id_form from smsc where id = $1", smsc_id)
    return ("auto", None) if row is None else (row["receipt_ids"], row["id_form"])


async def learn_form(db: Db, smsc_id: int, form: str) -> None:
    await db.execute("update smsc set id_form = $2 where id = $1", smsc_id, form)
