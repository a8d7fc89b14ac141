"""What is long over goes, and nothing else."""

import pytest

from pombo.app import upkeep as steps
from pombo.app.upkeep import Upkeep, Vacuum
from pombo.store import upkeep
from pombo.store.database import Database

pytestmark = pytest.mark.anyio


async def _key(db: Database, ref: str, age: str) -> None:
    await db.execute(
        "insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)"
        " values (1, $1, 1, 'x', now() - $2::text::interval)",
        ref, age,
    )  # fmt: skip


async def test_a_client_id_is_free_again_after_400_days(database: Database) -> None:
    await _key(database, "old", "400 days 1 minute")
    await _key(database, "kept", "399 days 23 hours")
    await Upkeep(database).step()
    assert [row[0] for row in await database.fetch("select client_ref from message_key")] == ["kept"]


async def test_every_key_comes_up_however_many_pages_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_BLOCKS", 3)
    await database.execute(
        "insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)"
        " select 1, g::text, g, 'x', now() - interval '401 days' from generate_series(1, 5000) g"
    )
    blocks = await upkeep.blocks_of_keys(database)
    assert blocks > 30
    of_one = Upkeep(database)
    for _ in range(blocks // (3 * steps._PAGES) + 2):
        await of_one.step()
    assert await database.fetchval("select count(*) from message_key") == 0


async def test_a_page_reads_its_own_blocks_alone(database: Database) -> None:
    await database.execute(
        "insert into message_key (account_id, client_ref, message_id, content_hmac, accepted_at)"
        " select 1, g::text, g, 'x', now() from generate_series(1, 20000) g"
    )
    await database.execute("analyze message_key")
    plan = await database.fetch(
        "explain delete from message_key where ctid >= format('(%s,0)', 0::bigint)::tid"
        " and ctid < format('(%s,0)', 10::bigint)::tid and accepted_at < now()"
    )
    assert any("Tid Range Scan" in row[0] for row in plan)


async def test_a_session_goes_a_month_after_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_SESSIONS", 2)
    ages = ["29 days"] + ["31 days"] * 5
    for age in ages:
        await database.execute(
            "insert into session (smsc_id, holder, started_at, ended_at)"
            " values (1, gen_random_uuid(), now() - interval '99 days', now() - $1::text::interval)",
            age,
        )
    await database.execute(
        "insert into session (smsc_id, holder, started_at) values (1, gen_random_uuid(), now() - interval '99 days')"
    )
    await Upkeep(database).step()
    rows = await database.fetch("select ended_at from session order by id")
    assert len(rows) == 2 and rows[1]["ended_at"] is None, "one that stands is kept however old it is"


async def _drained(database: Database, messages: int) -> None:
    """So many messages were in the queue, and their dead rows are counted."""
    async with database.transaction() as tx:
        await tx.execute(
            "insert into queue (message_id, smsc_id, account_id, due_at, expires_at, parts)"
            " select g, 1, 1, now(), now(), 1 from generate_series(1, $1::int) g",
            messages,
        )
    async with database.transaction() as tx:
        await tx.execute("delete from queue")
        await tx.execute("select pg_stat_force_next_flush()")


async def _vacuums(database: Database) -> int:
    return await database.fetchval("select vacuum_count from pg_stat_user_tables where relname = 'queue'")


async def test_the_queue_is_vacuumed_once_thousands_of_messages_have_left_it(database: Database) -> None:
    await _drained(database, steps._DEAD + 1)
    of_one = Vacuum(database)
    await of_one.step()
    assert (await upkeep.dead_in_queue(database))[0] == 0
    await _drained(database, steps._DEAD // 2)
    await of_one.step()
    assert await _vacuums(database) == 1


async def test_a_vacuum_in_vain_is_not_repeated_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_VACUUM_SHARE", 1e9)
    of_one = Vacuum(database)
    async with database.transaction("begin isolation level repeatable read; select") as old:
        await old.fetchval("select count(*) from message")
        await _drained(database, steps._DEAD + 1)
        for _ in range(3):
            await of_one.step()
        assert (await upkeep.dead_in_queue(database))[0] > 0
        assert await _vacuums(database) == 1
