"""Windows that close: what waits in the queue goes to the next opening of its account's window."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pombo.message import MessageClass
from pombo.store.database import Connection, Db


class Closed(NamedTuple):
    """A waiting message whose window has closed."""

    message_id: int
    number: int
    scheduled_at: datetime | None
    window: str  # account.window reads it, and the next one
    time_zone: str
    now: datetime  # the database's


# What expires before it would wait is left to expire.
_CLOSED = """
select q.message_id, m.number, m.scheduled_at, a.marketing_window, a.time_zone, now()
from queue q join message m on m.id = q.message_id join account a on a.id = q.account_id
where q.state = 0 and q.closes_at <= now() and q.expires_at > greatest(q.due_at, q.closes_at)
order by q.closes_at limit $1 for update of q skip locked
"""


async def closed(tx: Connection, limit: int) -> list[Closed]:
    return [Closed(*row) for row in await tx.fetch(_CLOSED, limit)]


class Deferral(NamedTuple):
    message_id: int
    opens_at: datetime | None  # None: it may go at once
    closes_at: datetime | None


# What was left of its validity counts from the opening on.
_DEFER = """
update queue q
set due_at = coalesce(t.opens_at, now()), opens_at = t.opens_at, closes_at = t.closes_at,
    expires_at = coalesce(t.opens_at, now()) + (q.expires_at - greatest(q.due_at, q.closes_at))
from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) t(message_id, opens_at, closes_at)
where q.message_id = t.message_id
"""


async def defer(tx: Connection, deferrals: Sequence[Deferral]) -> None:
    """Of messages that this transaction has locked (`closed`)."""
    await tx.execute(_DEFER, *map(list, zip(*deferrals, strict=True)))


async def close_windows(db: Db, account_id: int) -> None:
    """The account's window has changed: its messages that wait count as closed until they are moved (`closed`)."""
    await db.execute(
        f"update queue set closes_at = now() where account_id = $1 and class = {MessageClass.MARKETING:d} and state <> 1",
        account_id,
    )
