"""What an account sent, in figures: by time, connection, token and state. For people, over periods that have an end.

Read from the messages themselves, so a figure and a list of the same period agree. Measured: 0.35 s a million messages.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from pombo.message import State
from pombo.store.database import Db
from pombo.store.ids import lowest_at

_APART = timedelta(hours=1)  # that an id and its time of acceptance may be
_TIMED = 10_000  # delivered messages that a median is made of, the newest ones

HOUR, DAY = "hour", "day"


class Bucket(NamedTuple):
    at: datetime  # its begin
    smsc_id: int
    state: State
    messages: int
    parts: int
    charged_milli: int
    refunded_milli: int
    token_id: int = 0  # that they came with; 0: none, people sent them


async def buckets(
    db: Db, account_id: int, since: datetime, until: datetime, unit: str, time_zone: str
) -> list[Bucket]:
    """By the time of acceptance. unit: HOUR or DAY, as this time zone has them."""
    rows = await db.fetch(
        "select date_trunc($5, hour, $6) as at, smsc_id, state, sum(messages)::bigint, sum(parts)::bigint,"
        "  sum(charged)::bigint, sum(refunded)::bigint, token_id from ("
        "  select date_trunc('hour', accepted_at) as hour, smsc_id, state, count(*) as messages, sum(parts) as parts,"
        "   sum(price_milli) as charged, coalesce(sum(refunded_milli), 0) as refunded,"
        "   coalesce(token_id, 0) as token_id from message"
        "  where account_id = $1 and id >= $2 and id < $3 and accepted_at >= $4 and accepted_at < $7 group by 1, 2, 3, 8"
        ") hours group by 1, 2, 3, 8 order by 1, 2, 3, 8",
        account_id, lowest_at(since - _APART), lowest_at(until + _APART), since, unit, time_zone, until,
    )  # fmt: skip
    return [Bucket(row[0], row[1], State(row[2]), *row[3:]) for row in rows]


async def receipt_times(db: Db, account_id: int, since: datetime, until: datetime) -> dict[int, float]:
    """Median seconds from the first part's submit to delivery, by connection; of the newest messages only. Key 0: of all."""
    rows = await db.fetch(
        "select coalesce(smsc_id, 0), percentile_cont(0.5) within group (order by extract(epoch from final_at - sent_at))"
        " from (select smsc_id, final_at, sent_at from message where account_id = $1 and id >= $2 and id < $3"
        f"  and state = {State.DELIVERED:d} order by id desc limit {_TIMED}) m group by grouping sets ((smsc_id), ())",
        account_id, lowest_at(since), lowest_at(until),
    )  # fmt: skip
    return {row[0]: float(row[1]) for row in rows if row[1] is not None}


async def replies(
    db: Db, account_id: int, since: datetime, until: datetime, unit: str, time_zone: str
) -> list[tuple[datetime, int]]:
    """How many came, by the time they came; only the index is read."""
    rows = await db.fetch(
        "select date_trunc($4, received_at, $5), count(*) from inbox"
        " where account_id = $1 and received_at >= $2 and received_at < $3 group by 1 order by 1",
        account_id, since, until, unit, time_zone,
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]
