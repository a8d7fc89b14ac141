"""How an account's callbacks went in the last day, for its people."""

from datetime import UTC, datetime, timedelta

import asyncpg

from pombo.message import CallbackKind
from pombo.store.database import Db
from pombo.store.ids import lowest_at

MOST = 20_000  # callbacks that are looked at; of an account with more, the newest: each is a look-up
_TIMED = 2_000  # of them whose attempts are timed

# What they tell of is found by account and time; a callback has no such index, which every message would pay for.
_SUBJECTS = {
    CallbackKind.DLR: "select id from message where account_id = $1 and id >= $2 order by id desc limit $5",
    CallbackKind.MO: "select id from inbox where account_id = $1 and received_at >= $3"
    " order by received_at desc, id desc limit $5",
}


async def last_day(db: Db, account_id: int, kind: CallbackKind) -> asyncpg.Record:
    """confirmed, repeated (confirmed, but not at once), waiting (that failed already), parked, p95_ms, looked_at, and hours:
    for each hour of the day, oldest first, `[hours ago, confirmed, failed]`."""
    since = datetime.now(UTC) - timedelta(hours=24)
    row = await db.fetchrow(
        f"""
        with subject as materialized ({_SUBJECTS[kind]}
        ), called as materialized (
            select c.id, c.state, c.attempts, c.created_at from subject s
            join callback c on c.kind = $4 and c.subject_id = s.id where c.created_at >= $3
        ), hour as (
            select 23 - least(23, floor(extract(epoch from now() - created_at) / 3600))::int as h,
                count(*) filter (where state = 1) as confirmed,
                count(*) filter (where state <> 1 and (attempts > 0 or state = 2)) as failed
            from called group by 1
        )
        select (select count(*) from called) as looked_at,
            (select count(*) from called where state = 1) as confirmed,
            (select count(*) from called where state = 1 and attempts > 1) as repeated,
            (select count(*) from called where state = 0 and attempts > 0) as waiting,
            (select count(*) from called where state = 2) as parked,
            (select min(created_at) from called where state <> 1 and (attempts > 0 or state = 2)) as failing_since,
            (select percentile_cont(0.95) within group (order by t.duration_ms)
             from (select id from called order by id desc limit $6) n
             join callback_attempt t on t.callback_id = n.id) as p95_ms,
            (select array_agg(array[h, confirmed, failed]::bigint[] order by h) from hour) as hours,
            $2::bigint as lowest
        """,
        account_id, lowest_at(since), since, int(kind), MOST, _TIMED,
    )  # fmt: skip
    assert row is not None
    return row
