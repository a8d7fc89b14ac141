"""The connection pool over PostgreSQL, and what we demand of that PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import asyncpg
from asyncpg.protocol import protocol as driver

from pombo.errors import PomboError, Unavailable

# What a lost server, a refused connection or a timeout raises: nothing is known about the statement's fate.
LOST = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
)

# What may go well the next time, with nothing done this time: somebody else held a lock.
NOT_NOW = (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)

# The hot statements must keep one plan while their tables grow from empty to millions and back: an index
# scan with nested loops is right at every size, and a generic plan saves planning each time.
_HOT = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


# A node that is frozen or cut off in the middle of a transaction must not keep its locks: others wait for them to
# take over what it owned.
_SERVER = {"application_name": "pombo", "idle_in_transaction_session_timeout": "5s"}
_READ_ONLY = {"default_transaction_read_only": "on"}

# The driver asks of each element of an array whether it is an array itself, and asks the abstract base classes: 130 ns for a
# text, more than it takes to write it, and 50 of them in a message's life. Our arrays are lists or tuples.
driver.IterableABC = (list, tuple)  # type: ignore[attr-defined]

_MAINTENANCE_S = 24 * 3600.0

T = TypeVar("T")


class PoolUse(NamedTuple):
    busy: int
    idle: int
    most: int


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""  # we set nothing that would have to be reset; saves a round trip per use


class Database:
    """All statements of a process go through here; store functions take it, or a connection, as first argument."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool
        # Idle ones, which the pool believes to be in use: to take one from it and to give it back makes two tasks, and a
        # statement waits twice until all else that is ready has had its turn.
        self._kept: list[asyncpg.pool.PoolConnectionProxy[Any]] = []
        self._wanted = 0  # by who waits for the pool

    @classmethod
    async def open(
        cls, dsn: str, *, size: int = 10, hot: bool = False, read_only: bool = False
    ) -> "Database":
        """Connect and check the server. Raises PomboError when it is missing, too old or not durable.

        hot: for the statements of the message path (see _HOT); else for people's queries, planned each time.
        read_only: the server refuses changes in every transaction that does not begin as `begin read write`.
        """
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size,
                connection_class=_Connection,
                max_inactive_connection_lifetime=0,
                server_settings={**_SERVER, **(_HOT if hot else {}), **(_READ_ONLY if read_only else {})},
                command_timeout=60,
            )
        except ValueError:  # which may quote a part of the password
            raise PomboError(
                "POMBO_DATABASE_URL is not a PostgreSQL URL, such as postgresql://user:password@host/database. "
                "Characters like / and @ in a password are written as %2F and %40."
            ) from None
        except (OSError, asyncpg.PostgresError) as error:
            raise PomboError(f"PostgreSQL cannot be reached: {error}") from None
        database = cls(pool)
        try:
            await _demand_durability(database)
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def use(self) -> PoolUse:
        """Connections that work, that stand ready, and how many there may be."""
        idle = self._pool.get_idle_size() + sum(not _is_lost(kept) for kept in self._kept)
        return PoolUse(self._pool.get_size() - idle, idle, self._pool.get_max_size())

    async def close(self) -> None:
        """Close all connections; statements under way get five seconds."""
        try:
            async with asyncio.timeout(5):
                while self._kept:
                    await self._pool.release(self._kept.pop())
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self._connection() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        async with self._connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        async with self._connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        async with self._connection() as connection:
            return str(await connection.execute(sql, *args))

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        async with self._connection() as connection:
            await connection.executemany(sql, rows)

    async def maintain(self, statement: str) -> None:
        """A statement of maintenance, such as `vacuum`, which is no transaction and may take hours."""
        async with self._connection() as connection:
            await connection.execute(statement, timeout=_MAINTENANCE_S)

    @asynccontextmanager
    async def transaction(self, begin: str = "begin") -> AsyncIterator["Connection"]:
        """One transaction; rolled back when the block raises.

        begin: may carry a lock along, in the same round trip: "begin; select pg_advisory_xact_lock(5)".
        Raises Unavailable when the server is lost: then it is not known whether the block's work was committed.
        """
        async with self._connection() as connection:
            await connection.execute(begin)
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["Connection"]:
        try:
            connection = await self._take()
            try:
                yield connection  # type: ignore[misc]
            except BaseException:  # it may be in the middle of something
                await self._pool.release(connection)
                raise
            if self._wanted or self._pool.is_closing():
                await self._pool.release(connection)
            else:
                self._kept.append(connection)
        except LOST as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error

    async def _take(self) -> "asyncpg.pool.PoolConnectionProxy[Any]":
        while self._kept:
            connection = self._kept.pop()
            if not _is_lost(connection):
                return connection
            await self._pool.release(connection)
        self._wanted += 1
        try:
            return await self._pool.acquire(timeout=10)
        finally:
            self._wanted -= 1


def _is_lost(connection: "asyncpg.pool.PoolConnectionProxy[Any]") -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool knows it already
        return True


class Within(Database):
    """A Database whose statements belong to one transaction, which somebody else commits: what would be a transaction of
    its own is a savepoint here. For one task."""

    def __init__(self, connection: "Connection") -> None:
        self._connection_within = connection

    @asynccontextmanager
    async def transaction(self, begin: str = "begin") -> AsyncIterator["Connection"]:
        _, _, more = begin.partition(";")  # the locks, which stay until the commit
        async with self._connection() as connection:
            if more.strip():
                await connection.execute(more)
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["Connection"]:
        connection = self._connection_within
        try:
            await connection.execute("savepoint within")
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback to savepoint within; release savepoint within")
                raise
            await connection.execute("release savepoint within")
        except LOST as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error


_abandoned: set["asyncio.Task[Any]"] = set()


async def in_time(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """What the work gives. Raises Unavailable when the time is over: then it is not known what became of it."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        abandon(task)
        raise
    if not done:
        abandon(task)
        raise Unavailable(f"no answer within {timeout_s:g} s")
    return task.result()


def abandon(task: "asyncio.Task[Any]") -> None:
    """Cancel it, and wait for nothing: the driver would wait for the server to say that a statement is cancelled."""
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # seen: else its end would be logged as nobody's


Connection = asyncpg.Connection
Db = Database | asyncpg.Connection


async def _demand_durability(database: Database) -> None:
    row = await database.fetchrow(
        "select current_setting('server_version_num')::int as version, current_setting('fsync') as fsync,"
        " current_setting('full_page_writes') as full_page_writes,"
        " current_setting('synchronous_commit') as synchronous_commit"
    )
    assert row is not None
    if row["version"] < 150000:
        raise PomboError(f"PostgreSQL {row['version'] // 10000} is too old: Pombo needs 15 or newer.")
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        if row[setting] == "off":
            raise PomboError(
                f"PostgreSQL runs with {setting} = off: accepted messages could be lost in a crash. "
                f"Turn it on (alter system set {setting} = on; select pg_reload_conf()) and start again."
            )
