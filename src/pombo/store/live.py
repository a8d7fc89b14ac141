"""What may have changed for the people of an account who have a page open: asked once a second while somebody has."""

import asyncpg

from pombo.store.database import Db

NEWEST = (
    50  # messages whose states are looked at; what becomes of older ones shows when a page is opened anew
)
_MOST = 1000  # that are counted

_GLANCE = """
with newest as materialized (
    select id, state, parts_delivered from message where account_id = $1 order by id desc limit $2
), campaigns as materialized (
    select id, state, done_to, changed_at, ended_at from campaign where account_id = $1 order by id desc limit $2
), parked as materialized (
    select count(*) from (select from callback where account_id = $1 and state = 2 limit $3) p
)
select a.balance_milli,
    (select md5(string_agg(concat_ws(' ', id, state, parts_delivered), ',' order by id)) from newest) as messages,
    concat_ws(' ',
        (select md5(string_agg(concat_ws(' ', c.id, c.state, c.attempts), ',' order by c.id))
         from newest n join callback c on c.kind = 1 and c.subject_id = n.id),
        (select count(*) from
            (select from callback where account_id = $1 and kind in (1, 2) and state = 0 limit $3) w),
        (select count from parked)) as callbacks,
    (select max(last_at)::text from conversation where account_id = $1) as replies,
    (select count(*) from
        (select from conversation where account_id = $1 and seen < replies limit $3) u) as unread,
    (select md5(string_agg(concat_ws(' ', id, state, done_to, changed_at), ',' order by id)) from campaigns)
        as campaigns,
    concat_ws(' ', a.available_milli < a.price_milli, (select count from parked),
        (select max(case state when 4 then changed_at else ended_at end) from campaigns where state in (4, 6)),
        (select max(id) from notice where account_id = $1 and ended_at is null),
        (select count(*) from token where account_id = $1 and revoked_at is null
            and expires_at between now() - interval '7 days' and now() + interval '7 days')) as notices
from account a where a.id = $1
"""


async def glance(db: Db, account_id: int) -> asyncpg.Record:
    """A value for each kind of news, which differs when there is some: look-ups in indexes, however much there is.

    messages, callbacks, replies, campaigns, notices (attention.py): texts without a meaning. unread: conversations, of a
    thousand at most.
    """
    row = await db.fetchrow(_GLANCE, account_id, NEWEST, _MOST)
    assert row is not None, "accounts are never removed"
    return row
