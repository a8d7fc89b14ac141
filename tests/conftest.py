"""What tests of every room share: a real PostgreSQL per worker, and a fresh database in it for each test."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest
import uvloop

from cost import Cost
from places import new_directory
from pombo.message import MOVES
from pombo.store.database import Database
from pombo.store.embedded import Embedded
from pombo.store.migrate import migrate

hypothesis.settings.register_profile("pombo", deadline=None, derandomize=True)
hypothesis.settings.load_profile("pombo")

_numbers = itertools.count(1)

# Every test on the store also tests that statements move messages along the one table of moves, and no other way.
_ONLY_KNOWN_MOVES = f"""
create function only_known_moves() returns trigger language plpgsql as $$
begin
    if old.state <> new.state and array[old.state, new.state]::int[] not in (
        {", ".join(f"array[{int(state)}, {int(end)}]" for state, ends in MOVES.items() for end in ends)}
    ) then
        raise exception 'message.MOVES has no move from % to %', old.state, new.state;
    end if;
    return new;
end $$;
create trigger only_known_moves before update of state on message for each row execute function only_known_moves();
"""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def postgres_data() -> Iterator[Path]:
    """The data directory of `postgres`."""
    data = new_directory()
    yield data
    shutil.rmtree(data)


@pytest.fixture(scope="session")
def postgres(postgres_data: Path) -> Iterator[str]:
    """URL of a PostgreSQL of this worker's own, whose database `blank` has the schema and no rows."""
    embedded = Embedded(postgres_data)
    url = _run(embedded.start)
    try:
        _run(lambda: _make_template(url))
        yield url
    finally:
        _run(embedded.stop)


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """URL of a new database with the schema and no rows."""
    name = f"test_{next(_numbers)}"
    _run(lambda: _administer(postgres, f"create database {name} template blank"))
    yield _url_of(postgres, name)
    _run(lambda: _drop(postgres, name))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A new database with the schema and no rows, as the hot path sees it. For tests marked anyio."""
    db = await Database.open(database_url, hot=True)
    try:
        yield db
    finally:
        await db.close()


def _run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _url_of(url: str, name: str) -> str:
    path, question, query = url.partition("?")
    return f"{path.rpartition('/')[0]}/{name}{question}{query}"


async def _make_template(url: str) -> None:
    await _administer(url, "create database blank")
    db = await Database.open(_url_of(url, "blank"), size=1)
    try:
        await migrate(db)
        await db.execute(_ONLY_KNOWN_MOVES)
    finally:
        await db.close()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _drop(url: str, name: str) -> None:
    """Without `force`, which may not end an autovacuum that is at work there; dropping does so by itself."""
    async with _connected(url) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = current_user",
            name,
        )
        await connection.execute(f"drop database {name}")


async def _administer(url: str, statement: str) -> None:
    async with _connected(url) as connection:
        await connection.execute(statement)


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Cost:
    return Cost(monkeypatch)
