"""What we demand of a PostgreSQL, and migrations on the real thing."""

import asyncio

import asyncpg
import pytest

from pombo.errors import PomboError, Unavailable
from pombo.store import migrate as migrations
from pombo.store.database import Database
from pombo.store.migrate import Migration, migrate

pytestmark = pytest.mark.anyio


async def test_a_server_that_does_not_wait_for_its_disk_is_refused(database_url):
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set synchronous_commit = off")
    await connection.close()
    with pytest.raises(PomboError, match="synchronous_commit = off"):
        await Database.open(database_url)


async def test_an_unreachable_server_is_said_to_be_so():
    with pytest.raises(PomboError, match="cannot be reached"):
        await Database.open("postgresql://nobody@127.0.0.1:1/none")


async def test_a_lost_connection_is_unavailable_and_the_next_one_works(database):
    backend = await database.fetchval("select pg_backend_pid()")
    other = await asyncpg.connect(database._pool._connect_args[0])
    with pytest.raises(Unavailable):
        async with database.transaction() as tx:
            pid = await tx.fetchval("select pg_backend_pid()")
            await other.execute(f"select pg_terminate_backend({pid})")
            await tx.fetchval("select 1")
    await other.close()
    assert backend and await database.fetchval("select 1") == 1


async def test_a_connection_that_is_lost_while_nobody_uses_it_is_not_used_again(database):
    backend = await database.fetchval("select pg_backend_pid()")
    other = await asyncpg.connect(database._pool._connect_args[0])
    await other.execute(f"select pg_terminate_backend({backend}, 5000)")
    await other.close()
    assert await database.fetchval("select pg_backend_pid()") not in (None, backend)
    assert database.use.busy == 0


async def test_who_waits_for_a_connection_gets_the_next_one_that_is_free(database_url):
    database = await Database.open(database_url, size=1)
    async with database.transaction():
        waiting = [asyncio.create_task(database.fetchval("select 1")) for _ in range(3)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert database.use == (0, 1, 1)
    await database.close()


async def test_closing_waits_for_a_statement_under_way_and_no_longer(database_url):
    database = await Database.open(database_url, size=2)
    asking = asyncio.create_task(database.fetchval("select pg_sleep(0.2) is null"))
    while not database.use.busy:
        await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    await database.close()
    assert asyncio.get_running_loop().time() - began < 2.5  # after five seconds it would be cut off
    assert await asking is False


async def test_a_block_that_fails_is_rolled_back(database):
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.execute("insert into fact values ('a', 'b')")
            raise ZeroDivisionError
    assert await database.fetchval("select count(*) from fact") == 0


async def test_migrating_twice_changes_nothing(database):
    assert await migrate(database) == []


async def test_a_database_of_a_newer_version_is_refused(database):
    await database.execute("insert into migration (number, name, sha256) values (9999, 'later', '')")
    with pytest.raises(PomboError, match="newer version"):
        await migrate(database)


async def test_a_migration_edited_after_it_was_applied_is_refused(database, monkeypatch):
    first, *later = migrations.migrations()
    edited = Migration(first.number, first.name, first.sql + "-- edited")
    monkeypatch.setattr(migrations, "migrations", lambda: [edited, *later])
    with pytest.raises(PomboError, match="0001 was changed"):
        await migrate(database)


async def test_a_migration_that_fails_leaves_nothing_behind(database, monkeypatch):
    known = migrations.migrations()
    broken = Migration(9000, "broken", "create table half (a int); select 1 / 0")
    monkeypatch.setattr(migrations, "migrations", lambda: [*known, broken])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database)
    assert await database.fetchval("select to_regclass('half')") is None


async def test_the_tests_own_guard_refuses_a_move_that_is_not_in_the_table(database):
    await database.execute(
        "insert into message (id, account_id, client_ref, destination, number, body, ucs2, parts, price_milli, state,"
        " smsc_id, accepted_at) values (1, 1, '', '', 1, '', false, 1, 0, 3, 1, now())"
    )
    with pytest.raises(asyncpg.RaiseError, match="no move from 3 to 1"):
        await database.execute("update message set state = 1")


async def test_arrays_are_lists_and_tuples_which_the_driver_tells_at_a_glance(database):
    """A driver that no longer looks where we point it would take the set, and twice the time for each list."""
    assert await database.fetchval("select $1::text[]", ["a", None, "\u00e9"]) == ["a", None, "\u00e9"]
    assert await database.fetchval("select $1::bigint[]", (1, 2)) == [1, 2]
    assert await database.fetchval("select $1::bytea[]", [b"a"]) == [b"a"]
    assert await database.fetchval("select $1::bigint[]", ()) == []
    with pytest.raises(asyncpg.DataError):
        await database.fetchval("select $1::text[]", {"a"})
