"""Texts whose time is over go, and what was erased while a process still held it goes once more."""

from collections import deque

from pombo.store import access, campaign_rows, privacy, retention
from pombo.store.database import Database

_ROWS = 1000  # in one transaction
_PAGES = 100  # in one step: a hundred thousand messages a minute


class Erasing:
    """`step` now and then, on any number of nodes: one of them does it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def step(self) -> None:
        await self._messages()
        await self._late()
        await self._replies()
        for account_id, before in await retention.campaigns(self._db):
            for _ in range(_PAGES):
                if await campaign_rows.erase(self._db, account_id, before, _ROWS) == 0:
                    break
        await self._again()
        while await access.drop_old(self._db, _ROWS) == _ROWS:
            pass

    async def _messages(self) -> None:
        """In turn: an account with millions of them delays no other one."""
        line = deque(await retention.due(self._db))
        for _ in range(_PAGES):
            if not line:
                return
            async with self._db.transaction() as tx:
                if not await retention.mine(tx):
                    return
                following = await retention.erase_page(tx, line.popleft(), _ROWS)
            if following is not None:
                line.append(following)

    async def _late(self) -> None:
        for _ in range(_PAGES):
            async with self._db.transaction() as tx:
                if await retention.erase_late(tx, _ROWS) < _ROWS:
                    return

    async def _replies(self) -> None:
        for _ in range(_PAGES):
            async with self._db.transaction() as tx:
                if not await retention.mine(tx) or await retention.erase_replies(tx, _ROWS) < _ROWS:
                    return

    async def _again(self) -> None:
        for _ in range(_PAGES):
            async with self._db.transaction() as tx:
                if await privacy.erase_again(tx, _ROWS) < _ROWS:
                    return
