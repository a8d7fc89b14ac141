"""Operator connections and the routes to them."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import asyncpg

from pombo.errors import PomboError
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
    columns = ["name", "host", "port", "system_id", "password_sealed", *options]
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    try:
        return int(
            await db.fetchval(
                f"insert into smsc ({', '.join(columns)}) values ({places}) returning id",
                name, host, port, system_id, password_sealed, *options.values(),
            )
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise PomboError(f"There is a connection {name!r} already.") from None
    except asyncpg.CheckViolationError as error:
        raise PomboError(f"A value is out of its range: {error.constraint_name}.") from None


async def move_smsc(db: Db, smsc_id: int, host: str, port: int) -> None:
    """A connection's new address."""
    await db.execute(
        "update smsc set host = $2, port = $3 where id = $1 and (host, port) <> ($2, $3)", smsc_id, host, port
    )


async def add_route(db: Db, prefix: str, smsc_name: str) -> int:
    """Raises PomboError for an unknown connection, and for a route that is there already."""
    smsc_id = await db.fetchval("select id from smsc where name = $1", smsc_name)
    if smsc_id is None:
        raise PomboError(f"There is no connection {smsc_name!r}.")
    try:
        return int(
            await db.fetchval(
                "insert into route (prefix, smsc_id) values ($1, $2) returning id", prefix, smsc_id
            )
        )
    except asyncpg.UniqueViolationError:
        raise PomboError(f"Prefix {prefix!r} goes over {smsc_name!r} already.") from None
    except asyncpg.CheckViolationError:
        raise PomboError(
            f"A prefix is digits, such as 55 or 5511, or empty for all numbers; not {prefix!r}."
        ) from None


async def routes(db: Db) -> list[asyncpg.Record]:
    """prefix, smsc_id, validity_s; in the order in which they were added."""
    return await db.fetch(
        "select r.prefix, r.smsc_id, s.validity_s from route r join smsc s on s.id = r.smsc_id order by r.id"
    )


async def learned_forms(db: Db) -> dict[int, str | None]:
    """How each connection writes message ids in receipts, where that is known."""
    return {row["id"]: row["id_form"] for row in await db.fetch("select id, id_form from smsc")}


async def learn_form(db: Db, smsc_id: int, form: str) -> None:
    await db.execute("update smsc set id_form = $2 where id = $1", smsc_id, form)
