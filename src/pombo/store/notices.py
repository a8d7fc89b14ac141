"""What somebody should see to. The database writes notices in the commit that gives cause to them."""

from datetime import datetime
from typing import NamedTuple

from pombo.store.database import Db


class Notice(NamedTuple):
    """A low balance (`balance_low`): the account may not spend more than it said any more. Or messages were refused,
    because there were too many to one prefix of numbers (`prefix_limit`)."""

    account_id: int
    account: str  # its name
    kind: str
    at: datetime
    available_milli: int  # what the account may still spend now
    low_balance_milli: int
    messages_per_prefix: int


async def untold(db: Db) -> list[Notice]:
    """Those that no node has logged yet. Each is given to one caller only."""
    rows = await db.fetch(
        "with told as (update notice set told_at = now() where id = any(array("
        "  select id from notice where told_at is null order by id for update skip locked)) returning account_id, kind, at)"
        " select a.id, a.name, t.kind, t.at, a.available_milli, a.low_balance_milli, a.messages_per_prefix"
        " from told t join account a on a.id = t.account_id order by t.at"
    )
    return [Notice(*row) for row in rows]


async def open_notices(db: Db) -> list[Notice]:
    """Those whose cause is there still, the oldest first."""
    rows = await db.fetch(
        "select a.id, a.name, n.kind, n.at, a.available_milli, a.low_balance_milli, a.messages_per_prefix"
        " from notice n join account a on a.id = n.account_id where n.ended_at is null order by n.at"
    )
    return [Notice(*row) for row in rows]
