"""What is long over goes, a page at a time, so that no table grows without end."""

from pombo.store.database import Db

SESSION_DAYS = 30  # after its end nobody asks for a bind any more
KEY_DAYS = 400  # so long a client id is used up


async def drop_old_sessions(db: Db, limit: int) -> int:
    """Sessions that ended long ago; returns how many went."""
    rows = await db.fetch(
        "delete from session where id = any(array(select id from session"
        f" where ended_at < now() - interval '{SESSION_DAYS} days' order by ended_at limit $1)) returning 1",
        limit,
    )
    return len(rows)


async def blocks_of_keys(db: Db) -> int:
    """How many blocks (of 8 KiB) `message_key` has."""
    return int(
        await db.fetchval("select pg_relation_size('message_key') / current_setting('block_size')::bigint")
    )


async def drop_old_keys(db: Db, first_block: int, blocks: int) -> int:
    """Client ids that are free again, of these blocks of the table; returns how many went.

    By place and not by an index on time: that index would have to be kept up with each message that is accepted.
    """
    rows = await db.fetch(
        "delete from message_key where ctid >= format('(%s,0)', $1::bigint)::tid"
        " and ctid < format('(%s,0)', $2::bigint)::tid"
        f" and accepted_at < now() - interval '{KEY_DAYS} days' returning 1",
        first_block, first_block + blocks,
    )  # fmt: skip
    return len(rows)


async def dead_in_queue(db: Db) -> tuple[int, int]:
    """About how many dead rows `queue` has, and how many that live; what others did in the last second may be missing."""
    row = await db.fetchrow(
        "select n_dead_tup, n_live_tup from pg_stat_user_tables where relid = 'queue'::regclass"
    )
    assert row is not None
    return row[0], row[1]


async def vacuum_queue(db: Db) -> None:
    """Without what would make anybody wait: while somebody else is at it, nothing is done, and no space is given back."""
    await db.execute("vacuum (skip_locked, truncate false, index_cleanup on) queue")
