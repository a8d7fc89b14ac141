"""When the marketing window of accounts closes, what still waits is put off to the next opening."""

from zoneinfo import ZoneInfo

from pombo.account import window
from pombo.message import MessageClass
from pombo.store import schedule
from pombo.store.database import Database
from pombo.store.schedule import Closed, Deferral

_PAGE = 1000


async def put_off(db: Database) -> int:
    """On any number of nodes; returns how many messages were. A claim sends nothing of a window that has closed, so
    this need not be quick."""
    total, page = 0, _PAGE
    while page == _PAGE:
        async with db.transaction() as tx:
            messages = await schedule.closed(tx, _PAGE)
            if messages:
                await schedule.defer(tx, list(map(_deferral, messages)))
        page = len(messages)
        total += page
    return total


def _deferral(message: Closed) -> Deferral:
    _, opens_at, closes_at = window.when(
        message.scheduled_at,
        MessageClass.MARKETING,
        window.parse(message.window),
        message.number,
        ZoneInfo(message.time_zone),
        message.now,
    )
    return Deferral(message.message_id, opens_at, closes_at)
