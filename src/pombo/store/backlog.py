"""What waits and what is stuck, counted: for `/metrics` and for people. Not for the hot path.

Counting a million waiting messages takes 50 to 300 ms, so who asks regularly must not do so often.
"""

from datetime import datetime
from typing import NamedTuple

from pombo.message import CallbackState, QueueState
from pombo.store.database import Db


class Waiting(NamedTuple):
    """Messages of one connection and class that are to be sent."""

    smsc: str  # its name
    message_class: int  # message.MessageClass
    messages: int  # those that are not due yet included
    oldest_due_s: float  # for how long the oldest of those that are due has been; 0 where none is


# One walk of the index that claims go by, for each connection and class.
_WAITING = f"""
select s.name, c.class, w.messages, coalesce(extract(epoch from now() - w.oldest_due_at), 0)::float8
from smsc s cross join generate_series(0, 2) c(class)
cross join lateral (
    select count(*) as messages, min(q.due_at) filter (where q.due_at <= now()) as oldest_due_at from queue q
    where q.smsc_id = s.id and q.class = c.class and q.state = {QueueState.WAITING:d}
) w
order by s.id, c.class
"""


async def waiting(db: Db) -> list[Waiting]:
    return [Waiting(*row) for row in await db.fetch(_WAITING)]


class Unsettled(NamedTuple):
    """What of one connection is neither waiting nor settled."""

    smsc: str  # its name
    writing: int  # messages claimed by a bind
    held: int  # for a receipt or a person
    parked_receipts: int  # that match no message yet


_UNSETTLED = f"""
select s.name, coalesce(w.messages, 0), h.messages, p.receipts
from smsc s
left join (
    select smsc_id, count(*) as messages from queue where state = {QueueState.WRITING:d} group by smsc_id
) w on w.smsc_id = s.id
cross join lateral (
    select count(*) as messages from queue q where q.smsc_id = s.id and q.state = {QueueState.HELD:d}
) h
cross join lateral (select count(*) as receipts from parked_receipt r where r.smsc_id = s.id) p
order by s.id
"""


async def unsettled(db: Db) -> list[Unsettled]:
    return [Unsettled(*row) for row in await db.fetch(_UNSETTLED)]


class Owed(NamedTuple):
    """What customers have not been told yet."""

    callbacks_due: int  # to be called now or later
    callback_oldest_due_at: datetime | None  # of those that are due already
    callbacks_parked: int  # given up on
    replies_without_owner: int
    low_balances: int  # accounts with an open notice of that
    prefix_limits: int  # the same


_OWED = f"""
select coalesce(sum(d.callbacks), 0)::bigint, min(d.oldest_due_at),
       (select count(*) from callback where state = {CallbackState.PARKED:d}),
       (select count(*) from inbox where account_id is null),
       (select count(*) from notice where ended_at is null and kind = 'balance_low'),
       (select count(*) from notice where ended_at is null and kind = 'prefix_limit')
from endpoint e cross join lateral (
    select count(*) as callbacks, min(c.due_at) filter (where c.due_at <= now()) as oldest_due_at from callback c
    where c.account_id = e.account_id and c.kind = e.kind and c.state = {CallbackState.DUE:d}
) d
"""


async def owed(db: Db) -> Owed:
    row = await db.fetchrow(_OWED)
    assert row is not None
    return Owed(*row)
