"""The rows of campaigns. What many of them need goes in pages; all of it is given up to erasure (`erase`)."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from pombo.message import State
from pombo.store.database import Connection, Database, Db
from pombo.store.ids import lowest_at


class NewRow(NamedTuple):
    n: int  # its line in the file
    cells: list[str]
    refusal: str  # campaign.reasons.Reason; '': none yet


class Row(NamedTuple):
    n: int
    cells: list[str]
    number: int | None
    parts: int
    price_milli: int
    refusal: str
    detail: str


_ROW = "n, cells, number, parts, price_milli, refusal, detail"


async def add(tx: Connection, campaign_id: int, rows: AsyncIterator[NewRow], *, timeout_s: float) -> int:
    """How many they were. timeout_s: for all of them."""
    count = 0

    async def records() -> AsyncIterator[tuple[int, int, list[str], str]]:
        nonlocal count
        async for row in rows:
            count += 1
            yield campaign_id, row.n, row.cells, row.refusal

    await tx.copy_records_to_table(
        "campaign_row", records=records(), columns=["campaign_id", "n", "cells", "refusal"], timeout=timeout_s
    )
    return count


async def page(db: Db, campaign_id: int, after: int, limit: int) -> list[Row]:
    """Rows in order of their lines."""
    rows = await db.fetch(
        f"select {_ROW} from campaign_row where campaign_id = $1 and n > $2 order by n limit $3",
        campaign_id, after, limit,
    )  # fmt: skip
    return [Row(*row) for row in rows]


async def unsettled(db: Db, campaign_id: int, after: int, limit: int) -> list[Row]:
    """Those that are neither messages nor refused, in order of their lines."""
    rows = await db.fetch(
        f"select {_ROW} from campaign_row where campaign_id = $1 and n > $2 and refusal = '' and message_id is null"
        " order by n limit $3",
        campaign_id, after, limit,
    )  # fmt: skip
    return [Row(*row) for row in rows]


class Verdict(NamedTuple):
    """What checking a row found."""

    n: int
    number: int | None
    parts: int
    plain_parts: int
    price_milli: int
    refusal: str
    detail: str


async def write_verdicts(tx: Connection, campaign_id: int, verdicts: Sequence[Verdict]) -> None:
    await tx.execute(
        "update campaign_row r set number = t.number, parts = t.parts, plain_parts = t.plain_parts,"
        " price_milli = t.price_milli, refusal = t.refusal, detail = t.detail"
        " from unnest($2::int[], $3::bigint[], $4::smallint[], $5::smallint[], $6::int[], $7::text[], $8::text[])"
        "  t(n, number, parts, plain_parts, price_milli, refusal, detail)"
        " where r.campaign_id = $1 and r.n = t.n",
        campaign_id, *map(list, zip(*verdicts, strict=True)),
    )  # fmt: skip


async def refuse_repetitions(tx: Connection, campaign_id: int, reason: str) -> int:
    """Of the rows with one number the first that would be sent stays; the others say which it is."""
    done = await tx.execute(
        "update campaign_row r set refusal = $2, detail = t.first::text from ("
        "  select n, first_value(n) over (partition by number order by n) as first from campaign_row"
        "  where campaign_id = $1 and refusal = '') t"
        " where r.campaign_id = $1 and r.n = t.n and t.first <> t.n",
        campaign_id, reason,
    )  # fmt: skip
    return int(done.rpartition(" ")[2])


async def write_outcome(
    tx: Connection,
    campaign_id: int,
    accepted: Sequence[tuple[int, int]],
    refused: Sequence[tuple[int, str, str]],
) -> tuple[int, int]:
    """accepted: lines and their messages. refused: lines, reasons, details. How many of each were not written before."""
    row = await tx.fetchrow(
        "with sent as (update campaign_row r set message_id = t.id from unnest($2::int[], $3::bigint[]) t(n, id)"
        "  where r.campaign_id = $1 and r.n = t.n and r.message_id is null returning 1),"
        " refused as (update campaign_row r set refusal = t.refusal, detail = t.detail"
        "  from unnest($4::int[], $5::text[], $6::text[]) t(n, refusal, detail)"
        "  where r.campaign_id = $1 and r.n = t.n and r.refusal = '' returning 1)"
        " select (select count(*) from sent), (select count(*) from refused)",
        campaign_id,
        [n for n, _ in accepted], [message_id for _, message_id in accepted],
        [n for n, _, _ in refused], [reason for _, reason, _ in refused], [detail for _, _, detail in refused],
    )  # fmt: skip
    assert row is not None
    return int(row[0]), int(row[1])


async def last_messages(db: Db, campaign_id: int, until: int, limit: int) -> list[int]:
    """Of the rows up to this line the last ones that became messages."""
    rows = await db.fetch(
        "select message_id from campaign_row where campaign_id = $1 and n <= $2 and message_id is not null"
        " order by n desc limit $3",
        campaign_id, until, limit,
    )  # fmt: skip
    return [row["message_id"] for row in rows]


async def waiting(db: Db, message_ids: Sequence[int]) -> list[int]:
    """Those of the messages that wait to be written now, or are being written: no schedule and no window keeps them."""
    rows = await db.fetch(
        "select message_id from queue where message_id = any($1::bigint[]) and state in (0, 1)"
        " and (opens_at is null or opens_at <= now())",
        message_ids,
    )
    return [row["message_id"] for row in rows]


async def queued(db: Db, campaign_id: int, after: int, limit: int) -> list[asyncpg.Record]:
    """n, message_id: messages of the campaign that have not ended, in order of their lines."""
    return await db.fetch(
        f"select r.n, r.message_id from campaign_row r join message m on m.id = r.message_id"
        f" where r.campaign_id = $1 and r.n > $2 and m.state = {State.WAITING:d} order by r.n limit $3",
        campaign_id, after, limit,
    )  # fmt: skip


class Total(NamedTuple):
    """Rows of a checked campaign that agree in these."""

    refusal: str
    parts: int
    rows: int
    price_milli: int
    plain_price_milli: int  # without accents


async def totals(db: Db, campaign_id: int) -> list[Total]:
    rows = await db.fetch(
        "select refusal, case refusal when '' then parts else 0 end, count(*), coalesce(sum(price_milli), 0)::bigint,"
        " coalesce(sum(case parts when 0 then 0 else price_milli / parts * plain_parts end), 0)::bigint"
        " from campaign_row where campaign_id = $1 group by 1, 2 order by 1, 2",
        campaign_id,
    )
    return [Total(*row) for row in rows]


async def sendable(db: Db, campaign_id: int, least_parts: int, limit: int) -> list[Row]:
    """The first rows that would be sent, of so many parts at least."""
    rows = await db.fetch(
        f"select {_ROW} from campaign_row where campaign_id = $1 and refusal = '' and parts >= $2 order by n limit $3",
        campaign_id, least_parts, limit,
    )  # fmt: skip
    return [Row(*row) for row in rows]


async def refused(db: Db, campaign_id: int, after: int, limit: int) -> list[Row]:
    rows = await db.fetch(
        f"select {_ROW} from campaign_row where campaign_id = $1 and n > $2 and refusal <> '' order by n limit $3",
        campaign_id, after, limit,
    )  # fmt: skip
    return [Row(*row) for row in rows]


async def keep_only(tx: Connection, campaign_id: int, places: Sequence[int]) -> None:
    """places: of the columns, from 0. The cells of all others are emptied."""
    await tx.execute(
        "update campaign_row set cells = array(select case when t.place - 1 = any($2::int[]) then t.cell else '' end"
        "  from unnest(cells) with ordinality t(cell, place) order by t.place)"
        " where campaign_id = $1",
        campaign_id, places,
    )  # fmt: skip


class Became(NamedTuple):
    """Messages of a campaign that agree in state and error."""

    state: int  # message.State
    error: str
    messages: int
    price_milli: int
    refunded_milli: int


async def became(db: Db, campaign_id: int, since: datetime) -> list[Became]:
    """since: when it was confirmed. Its messages are younger, so nobody reads all that there are."""
    rows = await db.fetch(
        "select m.state, m.error, count(*), sum(m.price_milli)::bigint, coalesce(sum(m.refunded_milli), 0)::bigint"
        " from campaign_row r join message m on m.id = r.message_id"
        " where r.campaign_id = $1 and m.id >= $2 group by 1, 2 order by 3 desc, 1, 2",
        campaign_id, _lowest(since),
    )  # fmt: skip
    return [Became(*row) for row in rows]


def _lowest(since: datetime) -> int:
    """Of the ids of messages from then on, by whatever clock."""
    return lowest_at(since - timedelta(hours=1))


class Minute(NamedTuple):
    at: datetime
    messages: int  # that operators took in it
    lately: int  # of these in the last ten seconds


async def pace(db: Db, campaign_id: int, since: datetime, minutes: int) -> list[Minute]:
    """The last so many minutes that had any, in order. since: as above."""
    rows = await db.fetch(
        "select date_trunc('minute', m.sent_at) as minute, count(*),"
        " count(*) filter (where m.sent_at > now() - interval '10 seconds')"
        " from campaign_row r join message m on m.id = r.message_id"
        " where r.campaign_id = $1 and m.id >= $2 and m.sent_at is not null group by 1 order by 1 desc limit $3",
        campaign_id, _lowest(since), minutes,
    )  # fmt: skip
    return [Minute(*row) for row in reversed(rows)]


async def erase(db: Database, account_id: int, before: datetime, limit: int) -> int:
    """Remove rows, `limit` at the most, of a campaign that ended before this, or has been paused since: that one is
    cancelled. To be called until it gives 0. What became of the campaign's messages is kept as numbers."""
    async with db.transaction() as tx:
        campaign = await tx.fetchrow(
            "select id, started_at, outcome is null as moving from campaign where account_id = $1 and erased_at is null"
            " and (ended_at < $2 or (state = 4 and changed_at < $2)) order by id limit 1 for update",
            account_id, before,
        )  # fmt: skip
        if campaign is None:
            return 0
        if campaign["moving"]:
            await freeze(tx, campaign["id"], await became(tx, campaign["id"], campaign["started_at"]))
        gone = await tx.execute(
            "delete from campaign_row where campaign_id = $1"
            " and n in (select n from campaign_row where campaign_id = $1 order by n limit $2)",
            campaign["id"], limit,
        )  # fmt: skip
        count = int(gone.rpartition(" ")[2])
        if count < limit:
            await tx.execute(
                "update campaign set erased_at = now(), body = '', ended_at = coalesce(ended_at, now()),"
                " state = case state when 4 then 7 else state end where id = $1",
                campaign["id"],
            )
        return max(count, 1)


async def freeze(db: Db, campaign_id: int, became: Sequence[Became]) -> None:
    """What became of its messages will not move any more, or cannot be told later."""
    await db.execute(
        "update campaign set outcome = ("
        "  select coalesce(jsonb_agg(jsonb_build_array(state, error, messages, price, refunded)), '[]')"
        "  from unnest($2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])"
        "   t(state, error, messages, price, refunded)) where id = $1",
        campaign_id, *(map(list, zip(*became, strict=True)) if became else ([], [], [], [], [])),
    )  # fmt: skip
