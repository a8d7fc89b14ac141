"""What running a command gave, and a look into its database."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg

from pombo.store.database import Database


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1, self
        return json.loads(self.out)


Pombo = Callable[..., Ran]


def in_database(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    """What `work` gives, on a connection of its own."""

    async def connected() -> Any:
        db = await Database.open(url, size=1)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(connected())


def rows(url: str, sql: str, *args: object) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = in_database(url, lambda db: db.fetch(sql, *args))
    return found
