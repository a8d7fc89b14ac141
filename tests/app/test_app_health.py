"""Readiness and what is counted, on a real database."""

import asyncio

import pytest

from pombo.app.health import Health
from pombo.message import MessageClass
from pombo.store import backlog, intake
from pombo.store.database import Database
from rows import one_message

pytestmark = pytest.mark.anyio


async def test_a_database_with_all_migrations_is_ready(database: Database) -> None:
    assert await Health(database).failed() == {}


async def test_a_database_from_before_the_newest_migration_is_not_ready(database: Database) -> None:
    newest = await database.fetchrow(
        "delete from migration where number = (select max(number) from migration) returning number, name"
    )
    assert newest is not None
    failed = await Health(database).failed()
    assert (
        list(failed) == ["migrations"] and f"{newest['number']:04}_{newest['name']}" in failed["migrations"]
    )


async def test_a_database_that_a_newer_version_migrated_is_ready(database: Database) -> None:
    await database.execute("insert into migration (number, name, sha256) values (9999, 'future', '')")
    assert await Health(database).failed() == {}


async def test_a_process_that_is_being_stopped_is_not_ready(database: Database) -> None:
    health = Health(database)
    health.stopping = True
    assert list(await health.failed()) == ["stopping"]


async def test_many_who_ask_at_once_cost_one_connection(database: Database) -> None:
    health = Health(database)
    assert await asyncio.gather(*(health.failed() for _ in range(50))) == [{}] * 50
    use = database.use
    assert use.busy + use.idle == 1


@pytest.fixture
async def smsc_id(database: Database) -> int:
    return int(
        await database.fetchval(
            "insert into smsc (name, host, port, system_id, password_sealed) values ('vivo', 'h', 1, 's', 'x') returning id"
        )
    )


async def test_what_waits_is_counted_by_connection_and_class(database: Database, smsc_id: int) -> None:
    account_id = await database.fetchval(
        "insert into account (name, balance_milli) values ('loja', 1000) returning id"
    )
    for message_id in range(1, 6):
        await intake.accept(database, one_message(account_id, message_id, 5511999999999, smsc_id))
    await database.execute(
        "update queue set class = 0, due_at = now() - interval '90 s' where message_id = 1"
    )
    await database.execute("update queue set class = 2, due_at = now() + interval '1 h' where message_id = 2")
    await database.execute("update queue set state = 1, session_id = 1 where message_id = 3")
    await database.execute("update queue set state = 2 where message_id = 4")
    waiting = {row.message_class: row for row in await backlog.waiting(database)}
    assert {cls: row.messages for cls, row in waiting.items()} == {0: 1, 1: 1, 2: 1}
    assert 90 <= waiting[MessageClass.OTP].oldest_due_s < 120
    assert waiting[MessageClass.MARKETING].oldest_due_s == 0
    assert await backlog.unsettled(database) == [("vivo", 1, 1, 0)]


async def test_what_customers_were_not_told_is_counted(database: Database) -> None:
    assert await backlog.owed(database) == (0, None, 0, 0, 0, 0)
    account_id = await database.fetchval("insert into account (name) values ('loja') returning id")
    await database.execute(
        "insert into endpoint (account_id, kind, url, secret_sealed)"
        " select $1, kind, 'http://h', 'x' from generate_series(1, 2) kind",
        account_id,
    )
    await database.execute(
        "insert into callback (account_id, kind, subject_id, state, due_at) values"
        " ($1, 1, 1, 0, now() - interval '1 h'), ($1, 2, 2, 0, now() + interval '1 h'),"
        " ($1, 1, 3, 2, now()), ($1, 1, 4, 1, now())",
        account_id,
    )
    await database.execute(
        "insert into notice (account_id, kind, ended_at) values ($1, 'prefix_limit', null), ($1, 'balance_low', now())",
        account_id,
    )
    owed = await backlog.owed(database)
    assert (owed.callbacks_due, owed.callbacks_parked) == (2, 1)
    assert (owed.low_balances, owed.prefix_limits) == (0, 1)
    assert owed.callback_oldest_due_at is not None


async def test_counting_a_long_history_reads_only_what_is_stuck(database: Database) -> None:
    """Parked and held rows are found by their own indexes, however many others there are."""
    await database.execute(
        "insert into callback (account_id, kind, subject_id, state) select 1, 1, g, 1 from generate_series(1, 20000) g"
    )
    await database.execute("analyze callback")
    for statement in (backlog._OWED, backlog._UNSETTLED, backlog._WAITING):
        plan = "\n".join(row[0] for row in await database.fetch(f"explain {statement}"))
        for table in ("callback", "queue", "inbox", "parked_receipt"):
            assert f"Seq Scan on {table}" not in plan
