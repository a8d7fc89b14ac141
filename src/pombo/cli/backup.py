"""`backup`, `restore`: the whole platform in one file."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from pombo import logs
from pombo.account import secret
from pombo.cli.actor import this_actor
from pombo.cli.answer import Answer
from pombo.cli.options import EVERY, Every
from pombo.config import Config
from pombo.errors import PomboError
from pombo.store import backup as store
from pombo.store import facts as kept
from pombo.store import smscs
from pombo.store.audit import changing
from pombo.store.database import Database
from pombo.store.embedded import expect, reach
from pombo.store.migrate import migrate


async def backup(file: Path, /, *, every: Every = EVERY) -> Answer:
    """Write everything into one new file, while the platform runs or not: the database as it is at one moment, and the
    secret. Whoever has the file has the platform."""
    config = every.config()
    logs.configure("warning")
    if not config.database_url:
        await expect(config.data)
    async with AsyncExitStack() as stack:
        url = config.database_url or await stack.enter_async_context(reach(config.data, config.postgres_bin))
        db = await Database.open(url, size=1, read_only=True)
        stack.push_async_callback(db.close)
        if await store.is_empty(db):
            raise PomboError("There is no platform in this database yet.")
        octets = secret.octets(config.data, config.secret)
        if await kept.fact(db, "secret") != secret.Secrets(octets).fingerprint:
            raise PomboError("The secret is not the one this database was made with: see POMBO_SECRET.")
        migration = await store.newest_migration(db)
        made_at = datetime.now(UTC)
        size = await asyncio.to_thread(
            store.write, file, url, config.postgres_bin, octets, made_at, migration
        )
    facts = {"file": str(file), "octets": size, "made_at": made_at.isoformat(timespec="seconds")}
    return Answer(
        facts,
        Text(f"{file}: {size / 1e6:.1f} MB. It holds the secret, too: keep it where nobody else reads it."),
    )


async def restore(file: Path, /, *, every: Every = EVERY) -> Answer:
    """Bring a backup to life in a new data directory (or in an empty database, POMBO_DATABASE_URL). Its connections to
    operators are stopped: what has been sent since the backup would be sent again."""
    config = every.config()
    logs.configure("warning")
    with store.opened(file) as found:
        if config.secret and config.secret.encode() != found.secret:
            raise PomboError(
                "POMBO_SECRET is not the secret of this backup. Leave it out, or set the right one."
            )
        facts = await _restore(config, found)
    shown = Text(
        f"Restored, as of {facts['made_at']}: {facts['accounts']} account(s), {facts['messages']} message(s), of which"
        f" {facts['waiting']} wait or are held.\nConnections are stopped: {', '.join(facts['stopped']) or 'there are none'}."
        " What was sent since then waits here still: look at `pombo queue list`, then `pombo smsc start`.\n"
        "Numbers that were erased since then are back: erase them again (`pombo privacy erase`) before anything else."
    )
    return Answer(facts, shown)


async def _restore(config: Config, found: store.Backup) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        url = config.database_url or await stack.enter_async_context(reach(config.data, config.postgres_bin))
        db = await Database.open(url, size=1)
        stack.push_async_callback(db.close)
        if not await store.is_empty(db):
            raise PomboError(
                "This database is in use. Restore into a new data directory, or an empty database."
            )
        if not config.secret:
            secret.keep(config.data, found.secret)
        await asyncio.to_thread(found.restore, url, config.postgres_bin)
        await migrate(db)
        stopped = await _settle_in(db, found)
        contents = await store.contents(db)
    made_at = found.about.made_at.isoformat(timespec="seconds")
    return {"made_at": made_at, "version": found.about.version, **contents, "stopped": stopped}


async def _settle_in(db: Database, found: store.Backup) -> list[str]:
    async with changing(db, this_actor(), "platform.restore") as change:
        await store.forget_nodes(change.db)
        running = [smsc for smsc in await smscs.smscs(change.db) if smsc.wanted != "stopped"]
        for smsc in running:
            await smscs.change_smsc(change.db, smsc.id, wanted="stopped")
        names = [smsc.name for smsc in running]
        change.record("platform", after={"made_at": found.about.made_at, "stopped": names})
    return names
