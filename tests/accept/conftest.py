import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from legacy_gateway import TOKEN, Gateway

from pombo.store.database import Database

_EMPTY = """
do $$ begin
    execute (select 'truncate ' || string_agg(format('%I', tablename), ', ') || ' restart identity'
             from pg_tables where schemaname = 'public' and tablename not in ('migration', 'audit'));
end $$
"""


@pytest.fixture(scope="session")
def _one_database(postgres: str) -> Iterator[str]:
    _execute(postgres, "create database accept template blank")
    path, question, query = postgres.partition("?")
    yield f"{path.rpartition('/')[0]}/accept{question}{query}"


@pytest.fixture
def database_url(_one_database: str) -> str:
    """The tests of this room share a database, emptied before each: a new one would take longer than the test."""
    _execute(_one_database, _EMPTY)
    return _one_database


@pytest.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    """The legacy API with one account, `alfa`, which has TOKEN, R$ 1000 and a price of R$ 0,08."""
    gateway = Gateway(database)
    await gateway.add_account("alfa", TOKEN)
    async with gateway.running():
        yield gateway


@pytest.fixture
async def alfa(gateway: Gateway) -> int:
    """The id of the account `alfa`."""
    return int(await gateway.db.fetchval("select id from account where name = 'alfa'"))


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())
