"""Conversations: what handsets write to an account, and what it writes to them, as people read it."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from pombo.store.database import Db

Place = tuple[datetime, int]  # last_at and id


class Which(NamedTuple):
    """Which conversations of an account. digits: of the handset. name: folded, of its contact; each fits where it stands
    anywhere in them, or both are ''. handset: this one."""

    unread: bool = False
    opted_out: bool = False
    digits: str = ""
    name: str = ""
    handset: str = ""


# Of Brazil, or of elsewhere; null of what is none, such as a short code.
_NUMBER = "coalesce(c.number, case when c.handset ~ '^[1-9][0-9]{9,14}$' then c.handset::bigint end)"
_COLUMNS = (
    f"c.id, c.handset, {_NUMBER} as number, c.replies, c.seen, c.last_at, k.id as contact_id,"
    " coalesce(k.name, '') as name"
)
_CONTACT = f"left join contact k on k.account_id = c.account_id and k.number = {_NUMBER}"

# The last word is that of the handset, or of a person who has answered it since.
_LISTED = f"""
select {_COLUMNS}, l.ours, l.body from (
    select c.* from conversation c {_CONTACT} where c.account_id = $1
      and ($2::timestamptz is null or (c.last_at, c.id) < ($2, $3::bigint))
      and (not $4::boolean or c.seen < c.replies)
      and (not $5::boolean or exists (
          select from block b join inbox i on i.id = b.inbox_id
          where b.account_id = $1 and b.reason = 'reply' and i.account_id = $1 and i.source = c.handset))
      and (($6::text = '' and $7::text = '' and $8::text = '') or ($6 <> '' and c.handset like '%' || $6 || '%')
           or ($7 <> '' and strpos(k.folded, $7) > 0) or c.handset = nullif($8, ''))
    order by c.last_at desc, c.id desc limit $9
) c {_CONTACT} left join lateral (
    (select i.id, false as ours, i.body from inbox i where i.account_id = $1 and i.source = c.handset
     order by i.id desc limit 1)
    union all select m.id, true, m.body from message m where m.id = c.answer_id and m.account_id = $1
    order by id desc limit 1
) l on true order by c.last_at desc, c.id desc
"""


async def listed(
    db: Db, account_id: int, which: Which, before: Place | None, limit: int
) -> list[asyncpg.Record]:
    """Newest first; before: the last one of the page before. Each with the last word: `ours`, `body` (null where there is
    none any more)."""
    return await db.fetch(_LISTED, account_id, *(before or (None, None)), *which, limit)


async def conversation(db: Db, account_id: int, conversation_id: int) -> asyncpg.Record | None:
    """With its contact's `contact_id`, `name`, `labels` and `note`, where there is one."""
    return await db.fetchrow(
        f"select {_COLUMNS}, k.labels, k.note from conversation c {_CONTACT} where c.account_id = $1 and c.id = $2",
        account_id, conversation_id,
    )  # fmt: skip


async def with_number(db: Db, account_id: int, number: int) -> int | None:
    """The conversation with a number, where it has ever written."""
    found = await db.fetchval(
        "select id from conversation where account_id = $1 and handset = $2", account_id, str(number)
    )
    return None if found is None else int(found)


# Ids of messages and of replies are made by one clock, so they stand in one order.
_BUBBLES = """
select * from (
    (select i.id, false as ours, i.body, i.received_at as at, i.client_ref, null::smallint as state, '' as error,
            null::smallint as parts, null::timestamptz as final_at, null::timestamptz as scheduled_at
     from inbox i where i.account_id = $1 and i.source = $2 and i.id < $4 and i.id >= $5 order by i.id desc limit $6)
    union all
    (select m.id, true, m.body, m.accepted_at, m.client_ref, m.state, m.error, m.parts, m.final_at, m.scheduled_at
     from message m where m.number = $3 and m.account_id = $1 and m.id < $4 and m.id >= $5
     order by m.id desc limit $6)
) b order by id desc limit $6
"""
_NEWEST = 2**63 - 1


async def bubbles(
    db: Db,
    account_id: int,
    handset: str,
    number: int | None,
    limit: int,
    *,
    before_id: int = _NEWEST,
    from_id: int = 0,
) -> list[asyncpg.Record]:
    """What was written in a conversation, the newest first: `ours`, `body`, `at`, and of ours how they fare.

    before_id: of the oldest that was given before. from_id: of the oldest that is wanted."""
    return await db.fetch(_BUBBLES, account_id, handset, number, before_id, from_id, limit)


async def seen(db: Db, account_id: int, conversation_id: int, replies: int) -> bool:
    """Somebody has seen so many of its replies; whether any was unread. What has come since stays unread."""
    found = await db.fetchval(
        "update conversation set seen = least($3, replies) where account_id = $1 and id = $2 and seen < $3"
        " returning true",
        account_id, conversation_id, replies,
    )  # fmt: skip
    return bool(found)


async def mark_unread(db: Db, account_id: int, conversation_id: int) -> None:
    """Its last reply."""
    await db.execute(
        "update conversation set seen = replies - 1 where account_id = $1 and id = $2 and seen = replies",
        account_id, conversation_id,
    )  # fmt: skip


async def answered(db: Db, account_id: int, conversation_id: int, message_id: int) -> None:
    """Somebody has written in it, and so has seen what was there."""
    await db.execute(
        "update conversation set answer_id = $3, last_at = greatest(last_at, now()), seen = replies"
        " where account_id = $1 and id = $2",
        account_id, conversation_id, message_id,
    )  # fmt: skip


async def unread(db: Db, account_id: int, most: int) -> int:
    """How many conversations have something that nobody has seen; not counted beyond `most`."""
    count = await db.fetchval(
        "select count(*) from (select from conversation where account_id = $1 and seen < replies limit $2) c",
        account_id, most,
    )  # fmt: skip
    return int(count)


async def figures(db: Db, account_id: int, number: int, days: int) -> asyncpg.Record:
    """`messages` to a number in the last so many days, and `delivered` of them."""
    row = await db.fetchrow(
        "select count(*) as messages, count(*) filter (where state = 3) as delivered from message"
        " where number = $2 and account_id = $1 and accepted_at > now() - make_interval(days => $3)",
        account_id, number, days,
    )  # fmt: skip
    assert row is not None
    return row
