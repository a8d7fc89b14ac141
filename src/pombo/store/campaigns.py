"""Campaigns: how far each has come, and who is at work on it. Their rows are in campaign_rows.py.

A campaign that runs belongs to one process, by a lease on the database's time. What that process writes is written only
while the campaign is still its own and has not been changed (`Claim`).
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.store.campaign_rows import Became
from pombo.store.database import Connection, Db


class Campaign(NamedTuple):
    id: int
    account_id: int
    name: str
    state: int  # campaign.states.State
    file_name: str
    titles: list[str]
    uses: list[str]
    body: str
    text_mode: str
    message_class: int
    empty_refused: bool
    version: int
    start_at: datetime | None
    row_count: int
    done_to: int
    accepted: int
    refused: int
    waits_for: str
    cancel_queued: bool
    created_by: str
    created_at: datetime
    changed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: list[Became] | None
    erased_at: datetime | None


_CAMPAIGN = (
    "id, account_id, name, state, file_name, titles, uses, body, text_mode, class, empty_refused, version, start_at,"
    " row_count, done_to, accepted, refused, waits_for, cancel_queued, created_by, created_at, changed_at, started_at,"
    " ended_at, outcome, erased_at"
)


def _of(row: asyncpg.Record) -> Campaign:
    values = dict(row)
    values["message_class"] = values.pop("class")
    if values["outcome"] is not None:
        values["outcome"] = [Became(*one) for one in json.loads(values["outcome"])]
    return Campaign(**values)


async def add(
    tx: Connection,
    account_id: int,
    name: str,
    file_name: str,
    titles: Sequence[str],
    uses: Sequence[str],
    who: str,
) -> int:
    """A draft."""
    return int(
        await tx.fetchval(
            "insert into campaign (account_id, name, file_name, titles, uses, created_by)"
            " values ($1, $2, $3, $4, $5, $6) returning id",
            account_id, name, file_name, titles, uses, who,
        )
    )  # fmt: skip


async def set_row_count(tx: Connection, campaign_id: int, rows: int) -> None:
    await tx.execute("update campaign set row_count = $2 where id = $1", campaign_id, rows)


async def one(db: Db, account_id: int, campaign_id: int) -> Campaign | None:
    """None where there is none, or it is another account's."""
    row = await db.fetchrow(
        f"select {_CAMPAIGN} from campaign where account_id = $1 and id = $2", account_id, campaign_id
    )
    return None if row is None else _of(row)


async def lock(tx: Connection, account_id: int, campaign_id: int) -> Campaign | None:
    """As `one`; nobody else changes it until the transaction ends."""
    row = await tx.fetchrow(
        f"select {_CAMPAIGN} from campaign where account_id = $1 and id = $2 for update",
        account_id, campaign_id,
    )  # fmt: skip
    return None if row is None else _of(row)


async def newest(db: Db, account_id: int, before_id: int | None, limit: int) -> list[Campaign]:
    rows = await db.fetch(
        f"select {_CAMPAIGN} from campaign where account_id = $1 and ($2::bigint is null or id < $2)"
        " order by id desc limit $3",
        account_id, before_id, limit,
    )  # fmt: skip
    return [_of(row) for row in rows]


async def set_message(
    tx: Connection,
    campaign_id: int,
    *,
    name: str,
    uses: Sequence[str],
    body: str,
    text_mode: str,
    message_class: int,
    empty_refused: bool,
    state: int,
) -> None:
    """What each row becomes: all of them are to be checked, from the first one on."""
    await tx.execute(
        "update campaign set name = $2, uses = $3, body = $4, text_mode = $5, class = $6, empty_refused = $7, state = $8,"
        " version = version + 1, done_to = 0, refused = 0, changed_at = now() where id = $1",
        campaign_id, name, uses, body, text_mode, message_class, empty_refused, state,
    )  # fmt: skip


async def start(
    tx: Connection, campaign_id: int, state: int, start_at: datetime | None, refused: int
) -> None:
    await tx.execute(
        "update campaign set state = $2, start_at = $3, refused = $4, done_to = 0, holder = null, started_at = now(),"
        " changed_at = now(), lease_until = null where id = $1",
        campaign_id, state, start_at, refused,
    )  # fmt: skip


async def move(tx: Connection, campaign_id: int, state: int, waits_for: str = "") -> None:
    """waits_for: why it stopped by itself. Whoever is at work on one that is paused may still note what it has sent."""
    await tx.execute(
        "update campaign set state = $2::int, waits_for = $3, changed_at = now(),"
        " holder = case $2::int when 4 then holder end,"
        " lease_until = case $2::int when 4 then lease_until end where id = $1",
        campaign_id, state, waits_for,
    )  # fmt: skip


async def cancel(tx: Connection, campaign_id: int, state: int, *, queued: bool) -> None:
    """queued: what waits is to be cancelled, from the first row on."""
    await tx.execute(
        "update campaign set state = $2, cancel_queued = $3, done_to = 0, start_at = null, waits_for = '',"
        " outcome = null, changed_at = now() where id = $1",
        campaign_id, state, queued,
    )  # fmt: skip


async def end(tx: Connection, campaign_id: int, state: int) -> None:
    await tx.execute(
        "update campaign set state = $2, waits_for = '', changed_at = now(), ended_at = coalesce(ended_at, now()),"
        " holder = null, lease_until = null where id = $1",
        campaign_id, state,
    )  # fmt: skip


async def drop_draft(tx: Connection, campaign_id: int) -> None:
    await tx.execute("delete from campaign_row where campaign_id = $1", campaign_id)
    await tx.execute("delete from campaign where id = $1", campaign_id)


async def drop_old_drafts(db: Db, hours: float) -> int:
    """Drafts that nobody has touched for so long go, with their rows: how many."""
    rows = await db.fetch(
        "with old as (delete from campaign where state <= 2 and changed_at < now() - make_interval(secs => $1 * 3600)"
        "  returning id), rows as (delete from campaign_row where campaign_id in (select id from old))"
        " select id from old",
        hours,
    )
    return len(rows)


# At work on them


class Work(NamedTuple):
    campaign: Campaign
    taken_over: bool  # another process was at work on it before


async def take(db: Db, holder: uuid.UUID, lease_s: float) -> list[Work]:
    """All campaigns that are this holder's to work on now; leases are taken, and renewed in the second half of their
    time. A process that ended without a word is taken over from when its lease has run out."""
    taken = await db.fetch(
        "update campaign c set holder = $1, lease_until = now() + make_interval(secs => $2)"
        " from (select id, holder from campaign where state in (1, 3, 5) and (start_at is null or start_at <= now())"
        "  and (lease_until is null or lease_until <= now()"
        "   or (holder = $1 and lease_until < now() + make_interval(secs => $2 / 2))) for update skip locked) old"
        " where c.id = old.id returning c.id, old.holder <> $1 as taken_over",
        holder, lease_s,
    )  # fmt: skip
    over = {row["id"] for row in taken if row["taken_over"]}
    rows = await db.fetch(
        f"select {_CAMPAIGN} from campaign where state in (1, 3, 5) and (start_at is null or start_at <= now())"
        " and holder = $1 and lease_until > now() order by id",
        holder,
    )
    return [Work(_of(row), row["id"] in over) for row in rows]


async def release(db: Db, holder: uuid.UUID) -> None:
    """Another process may go on at once."""
    await db.execute(
        "update campaign set lease_until = now() where state in (1, 3, 5) and holder = $1", holder
    )


async def hold(tx: Connection, campaign: Campaign, holder: uuid.UUID) -> int | None:
    """The campaign's state, locked; None when it is no longer this holder's, or was changed since it was read."""
    state = await tx.fetchval(
        "select state from campaign where id = $1 and holder = $2 and version = $3 for update",
        campaign.id, holder, campaign.version,
    )  # fmt: skip
    return None if state is None else int(state)


async def advance(
    tx: Connection, campaign_id: int, done_to: int, accepted: int, refused: int, waits_for: str
) -> None:
    """accepted, refused: rows that were settled. done_to: never moves back."""
    await tx.execute(
        "update campaign set done_to = greatest(done_to, $2), accepted = accepted + $3, refused = refused + $4,"
        " waits_for = $5 where id = $1",
        campaign_id, done_to, accepted, refused, waits_for,
    )  # fmt: skip


async def wait(db: Db, campaign_id: int, holder: uuid.UUID, waits_for: str) -> None:
    """Why it sends nothing just now."""
    await db.execute(
        "update campaign set waits_for = $3 where id = $1 and holder = $2 and waits_for <> $3 and state = 3",
        campaign_id, holder, waits_for,
    )  # fmt: skip


# What happened


async def note(db: Db, campaign_id: int, kind: str, who: str = "", detail: str = "") -> None:
    await db.execute(
        "insert into campaign_event (campaign_id, kind, who, detail) values ($1, $2, $3, $4)",
        campaign_id, kind, who, detail,
    )  # fmt: skip


class Event(NamedTuple):
    at: datetime
    kind: str
    who: str
    detail: str


async def events(db: Db, campaign_id: int) -> list[Event]:
    """In order."""
    rows = await db.fetch(
        "select at, kind, who, detail from campaign_event where campaign_id = $1 order by id", campaign_id
    )
    return [Event(*row) for row in rows]


class Answers(NamedTuple):
    replies: int
    unread: int
    opted_out: int


async def answers(db: Db, account_id: int, prefix: str, since: datetime) -> Answers:
    """Replies to its messages. prefix: of the ids of its messages (doors.client_ref)."""
    row = await db.fetchrow(
        "select count(*), count(*) filter (where i.read_at is null), count(b.inbox_id)"
        " from inbox i left join block b on b.inbox_id = i.id and b.account_id = i.account_id"
        " where i.account_id = $1 and i.received_at >= $3 and starts_with(i.client_ref, $2)",
        account_id, prefix, since,
    )  # fmt: skip
    assert row is not None
    return Answers(*row)
