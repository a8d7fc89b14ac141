"""Wakes other processes: the owner of a connection that got messages, and those that deliver callbacks."""

import asyncio
from collections.abc import Iterable

import asyncpg
import structlog

from pombo.errors import Unavailable
from pombo.store import wake
from pombo.store.database import Database

log = structlog.get_logger()

_PAUSE_S = 0.05  # between two NOTIFYs of a process


class Wake:
    """Run `run`; what is told meanwhile is gathered. A NOTIFY that is lost costs a second: everybody polls, too."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._smsc_ids: set[int] = set()
        self._callbacks = False
        self._news = asyncio.Event()

    def queued(self, smsc_ids: Iterable[int]) -> None:
        """Messages were committed for these connections of others."""
        self._smsc_ids.update(smsc_ids)
        if self._smsc_ids:
            self._news.set()

    def callbacks(self) -> None:
        """Callbacks were committed that this process does not deliver."""
        self._callbacks = True
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            try:
                await self.tell()
            except (Unavailable, asyncpg.PostgresError) as error:
                log.info("wake_lost", error=type(error).__name__)
            await asyncio.sleep(_PAUSE_S)

    async def tell(self) -> None:
        """Tell now what has gathered."""
        self._news.clear()
        smsc_ids, self._smsc_ids = self._smsc_ids, set()
        callbacks, self._callbacks = self._callbacks, False
        if smsc_ids:
            await wake.tell_queued(self._db, smsc_ids)
        if callbacks:
            await wake.tell_callbacks(self._db)
