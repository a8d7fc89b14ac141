"""Single facts about this database."""

from pombo.store.database import Db


async def fact(db: Db, name: str) -> str | None:
    value = await db.fetchval("select value from fact where name = $1", name)
    return None if value is None else str(value)


async def note_fact(db: Db, name: str, value: str) -> str:
    """Keep a fact that is not there yet; returns the one that holds."""
    await db.execute("insert into fact (name, value) values ($1, $2) on conflict do nothing", name, value)
    kept = await fact(db, name)
    assert kept is not None
    return kept
