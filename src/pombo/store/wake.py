"""Telling other processes of work. Never in the commit that causes it: transactions that notify commit one after the
other, so this one waits for no disk."""

from collections.abc import Iterable

from pombo.store.database import Db

QUEUE, CALLBACKS = "pombo_queue", "pombo_callbacks"  # channels
_TELL = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"


async def tell_queued(db: Db, smsc_ids: Iterable[int]) -> None:
    """Messages were queued for these connections. Where they are nobody's, nobody minds."""
    await db.execute(_TELL, QUEUE, " ".join(map(str, sorted(smsc_ids))))


async def tell_callbacks(db: Db) -> None:
    """Callbacks that no node has leased wait in the table."""
    await db.execute(_TELL, CALLBACKS, "")


def smsc_ids(payload: str) -> list[int]:
    """What `tell_queued` told."""
    return [int(smsc_id) for smsc_id in payload.split()]
