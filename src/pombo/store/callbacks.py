"""The SQL of callbacks (the outbox towards customers) and of endpoints (where a customer wants to be called).

A row of `callback` is due (0), confirmed (1) or parked (2): `message.CallbackState`. While a node holds a due
row, `leased_by` and `leased_until` say so; nobody else takes it before the lease ends by the database's time.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from pombo.message import LEGACY_STATUS, CallbackKind, State
from pombo.store.database import Db

# Longest time that a row may wait in a node's memory, its attempt included. A node that dies gives its rows
# back after this long; one that lives drops what it could not call in time.
LEASE_S = 60


class Job(NamedTuple):
    """All that one callback needs to be called, so that the attempt costs no query."""

    callback_id: int
    account_id: int
    kind: int  # message.CallbackKind
    subject_id: int  # message.id or inbox.id
    status: str  # DLR: '2', '3' or '4'; MO: ''
    client_ref: str  # the message's id as its customer knows it; MO: '' when it answers none
    number: str  # DLR: the destination as submitted; MO: the handset as the operator wrote it
    text: str  # MO only
    at: datetime  # aware; DLR: final_at, MO: received_at
    time_zone: str
    attempts: int = 0  # those that are over
    age_s: float = 0.0  # since its schedule began, when it was claimed


class EndpointRow(NamedTuple):
    account_id: int
    kind: int  # message.CallbackKind
    url: str
    literal: bool
    any_2xx: bool
    secret_sealed: bytes


class Room(NamedTuple):
    """How many rows one endpoint's lane can take."""

    account_id: int
    kind: int
    places: int


class Attempt(NamedTuple):
    """What was called and what came of it, in the order of the columns of `callback_attempt`."""

    callback_id: int
    at_s: float  # since 1970, when it began
    url: str
    signature: str  # webhook-signature
    address: str  # that was dialled, else ''
    status: int | None  # of the HTTP answer, where there was one
    error: str  # '' where the status says it all
    duration_ms: int
    answer: bytes  # its first octets, as they came


class Failure(NamedTuple):
    """The end of a failed attempt. pause_s: until the next one; None parks the row."""

    callback_id: int
    pause_s: float | None
    status: int | None  # of the HTTP answer, where there was one
    error: str
    attempt: Attempt | None = None  # None: nothing could be called


# Walks the partial index endpoint by endpoint, so that one endpoint's million rows never fill the batch.
# `offset 0` keeps the planner to one index look-up per claimed row, whatever the statistics say.
_CLAIM = """
with room as materialized (
    select * from unnest($3::bigint[], $4::smallint[], $5::int[]) as r (account_id, kind, places)
), taken as materialized (
    select due.id from room cross join lateral (
        select c.id from callback c
        where c.account_id = room.account_id and c.kind = room.kind and c.state = 0 and c.due_at <= now()
          and (c.leased_until is null or c.leased_until <= now())
        order by c.due_at limit room.places
        for update skip locked
    ) due
), claimed as (
    update callback c set leased_by = $1, leased_until = now() + $2 * interval '1 second'
    where c.id = any(array(select id from taken))
    returning c.id, c.account_id, c.kind, c.subject_id, c.attempts, c.due_at,
        extract(epoch from now() - coalesce(c.replayed_at, c.created_at))::float8 as age_s
)
select c.*, a.time_zone, m.state, coalesce(m.client_ref, i.client_ref) as client_ref,
    coalesce(m.destination, i.source) as number, i.body as text,
    coalesce(m.final_at, i.received_at, now()) as at
from claimed c
join account a on a.id = c.account_id
left join lateral (
    select state, client_ref, destination, final_at from message
    where id = c.subject_id and c.kind = 1 offset 0
) m on true
left join lateral (
    select client_ref, source, body, received_at from inbox
    where id = c.subject_id and c.kind = 2 offset 0
) i on true
order by c.due_at, c.id
"""


async def claim(db: Db, holder: uuid.UUID, room: Sequence[Room]) -> tuple[list[Job], list[int]]:
    """Leases due rows to this node, at most `places` of each endpoint, those due longest first.

    Returns the jobs, and the ids of rows whose message or reply is no longer kept.
    """
    rows = await db.fetch(
        _CLAIM,
        holder,
        LEASE_S,
        [r.account_id for r in room],
        [r.kind for r in room],
        [r.places for r in room],
    )
    jobs = [_job(row) for row in rows if row["number"] is not None]
    return jobs, [row["id"] for row in rows if row["number"] is None]


def _job(row: Any) -> Job:
    return Job(
        callback_id=row["id"],
        account_id=row["account_id"],
        kind=row["kind"],
        subject_id=row["subject_id"],
        status="" if row["kind"] == CallbackKind.MO else LEGACY_STATUS[State(row["state"])],
        client_ref=row["client_ref"],
        number=row["number"],
        text=row["text"] or "",
        at=row["at"],
        time_zone=row["time_zone"],
        attempts=row["attempts"],
        age_s=row["age_s"],
    )


# Attempts as arrays, from parameter $1 on.
_ATTEMPTS = """
with attempt as materialized (
    select * from unnest($1::bigint[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[],
        $8::int[], $9::bytea[]) as t (callback_id, at_s, url, signature, address, status, error, duration_ms, answer)
), kept as (
    insert into callback_attempt (callback_id, at, url, signature, address, status, error, duration_ms, answer)
    select callback_id, to_timestamp(at_s), url, signature, address, status, error, duration_ms, answer from attempt
)"""


async def confirm(db: Db, attempts: Sequence[Attempt]) -> None:
    """Confirms callbacks with the attempts that succeeded; their replies count as read, in the same commit.

    Whoever holds the lease by now: the customer has it, and a second confirmation changes nothing.
    """
    await db.execute(
        f"""{_ATTEMPTS}, done as (
            update callback c set state = 1, attempts = least(c.attempts + 1, 32767), last_status = a.status,
                last_error = '', leased_by = null, leased_until = null
            from attempt a where c.id = a.callback_id and c.state <> 1
            returning c.kind, c.subject_id
        )
        update inbox set read_at = now()
        where id = any(array(select subject_id from done where kind = 2)) and read_at is null
        """,
        *_columns(sorted(attempts, key=_BY_ID)),
    )


async def fail(db: Db, holder: uuid.UUID, failures: Sequence[Failure]) -> None:
    """Puts failed callbacks off, or parks them. Rows that another node took over meanwhile are left alone."""
    ordered = sorted(failures, key=_BY_ID)
    await db.execute(
        f"""{_ATTEMPTS}
        update callback c set
            attempts = least(c.attempts + 1, 32767),
            state = case when f.pause_s is null then 2 else 0 end,
            due_at = now() + coalesce(f.pause_s, 0) * interval '1 second',
            last_status = f.status, last_error = f.error, leased_by = null, leased_until = null
        from unnest($10::bigint[], $11::float8[], $12::int[], $13::text[]) as f (id, pause_s, status, error)
        where c.id = f.id and c.state = 0 and c.leased_by = $14
        """,
        *_columns([f.attempt for f in ordered if f.attempt is not None]),
        [f.callback_id for f in ordered],
        [f.pause_s for f in ordered],
        [f.status for f in ordered],
        [f.error for f in ordered],
        holder,
    )


_BY_ID = itemgetter(0)  # the order in which all statements lock rows


def _columns(attempts: Sequence[Attempt]) -> list[Sequence[object]]:
    return list(zip(*attempts, strict=True)) or [()] * len(Attempt._fields)


async def release(db: Db, holder: uuid.UUID) -> None:
    """Gives back all that this node had leased: at a start on the same data directory, and at a stop."""
    await db.execute(
        """
        update callback set leased_by = null, leased_until = null, due_at = least(due_at, now())
        where state = 0 and leased_by = $1
        """,
        holder,
    )


async def release_rows(db: Db, holder: uuid.UUID, ids: Sequence[int]) -> None:
    """Gives back these rows of this node's."""
    await db.execute(
        """
        update callback set leased_by = null, leased_until = null, due_at = least(due_at, now())
        where id = any($1::bigint[]) and state = 0 and leased_by = $2
        """,
        sorted(ids),
        holder,
    )


async def close_orphans(db: Db) -> int:
    """Parks due callbacks whose endpoint is no longer registered; returns how many.

    Jumps from one (account, kind) to the next in the index: its cost does not grow with the rows that wait.
    """
    rows = await db.fetch(
        """
        with recursive waiting as (
            (select account_id, kind from callback where state = 0 order by account_id, kind limit 1)
            union all
            select next.account_id, next.kind from waiting w cross join lateral (
                select account_id, kind from callback c
                where state = 0 and (c.account_id, c.kind) > (w.account_id, w.kind)
                order by account_id, kind limit 1
            ) next
        ), orphan as materialized (
            select account_id, kind from waiting w
            where not exists (select from endpoint e where e.account_id = w.account_id and e.kind = w.kind)
        ), closed as (
            update callback c set state = 2, last_error = 'no URL registered', due_at = now(),
                leased_by = null, leased_until = null
            from orphan o
            where c.account_id = o.account_id and c.kind = o.kind and c.state = 0
              and (c.leased_until is null or c.leased_until <= now())
            returning 1
        )
        select count(*) as closed from closed
        """
    )
    return int(rows[0]["closed"])


async def park_aged(db: Db, account_id: int, kind: int, age_s: float) -> int:
    """Parks a dead endpoint's due callbacks that are older than age_s, 10,000 at most; returns how many."""
    rows = await db.fetch(
        """
        with aged as materialized (
            select id from callback
            where account_id = $1 and kind = $2 and state = 0 and due_at <= now()
              and coalesce(replayed_at, created_at) < now() - $3 * interval '1 second'
              and (leased_until is null or leased_until <= now())
            limit 10000
            for update skip locked
        )
        update callback set state = 2, due_at = now(), leased_by = null, leased_until = null,
            last_error = case last_error when '' then 'endpoint did not answer' else last_error end
        where id = any(array(select id from aged))
        returning 1
        """,
        account_id,
        kind,
        float(age_s),
    )
    return len(rows)


async def endpoints(db: Db) -> list[EndpointRow]:
    """Every endpoint of every account."""
    rows = await db.fetch("select account_id, kind, url, literal, any_2xx, secret_sealed from endpoint")
    return [EndpointRow(*row) for row in rows]


async def endpoints_of(db: Db, account_id: int) -> list[EndpointRow]:
    """The endpoints of one account, DLR first."""
    rows = await db.fetch(
        """
        select account_id, kind, url, literal, any_2xx, secret_sealed
        from endpoint where account_id = $1 order by kind
        """,
        account_id,
    )
    return [EndpointRow(*row) for row in rows]


async def set_endpoint(
    db: Db,
    account_id: int,
    kind: int,
    url: str,
    *,
    literal: bool,
    any_2xx: bool,
    secret_sealed: bytes,
) -> None:
    """Registers where an account is called, or changes it. A secret that is there already stays.

    url: as `callback.address.check_url` gave it back.
    """
    await db.execute(
        """
        insert into endpoint (account_id, kind, url, literal, any_2xx, secret_sealed)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (account_id, kind) do update set url = excluded.url, literal = excluded.literal,
            any_2xx = excluded.any_2xx, updated_at = now()
        """,
        account_id,
        kind,
        url,
        literal,
        any_2xx,
        secret_sealed,
    )


async def set_endpoint_secret(db: Db, account_id: int, kind: int, secret_sealed: bytes) -> bool:
    """Replaces an endpoint's signing secret; False when there is no such endpoint."""
    rows = await db.fetch(
        """
        update endpoint set secret_sealed = $3, updated_at = now()
        where account_id = $1 and kind = $2 returning 1
        """,
        account_id,
        kind,
        secret_sealed,
    )
    return bool(rows)


async def delete_endpoint(db: Db, account_id: int, kind: int) -> bool:
    """Forgets an endpoint: nothing is due to it any more. False when there was none."""
    rows = await db.fetch(
        "delete from endpoint where account_id = $1 and kind = $2 returning 1", account_id, kind
    )
    return bool(rows)


async def saved_at(db: Db, account_id: int) -> dict[int, datetime]:
    """When each of an account's endpoints was changed last, by its kind."""
    rows = await db.fetch("select kind, updated_at from endpoint where account_id = $1", account_id)
    return dict(map(tuple, rows))
