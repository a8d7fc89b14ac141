"""Outcomes of calls, gathered for some milliseconds and committed in bulk."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import structlog

from pombo import crash
from pombo.errors import Unavailable
from pombo.store import callbacks as store
from pombo.store.callbacks import Attempt, Failure
from pombo.store.database import Db

log = structlog.get_logger()

GATHER_S = 0.02
ROWS = 5000  # in one statement
AGAIN_S = 1.0  # pause after a commit that failed


class Settlement:
    """Keeps every outcome until it is committed. When the process dies before, the callback is made again."""

    def __init__(self, db: Db, holder: uuid.UUID, on_due: Callable[[float], None]) -> None:
        self._db = db
        self._holder = holder
        self._on_due = on_due  # told the shortest pause after every commit of failures
        self._confirmed: list[Attempt] = []
        self._failed: list[Failure] = []
        self._news = asyncio.Event()
        self._stopping = False

    def confirmed(self, attempt: Attempt) -> None:
        self._confirmed.append(attempt)
        if len(self._confirmed) == 1:
            self._news.set()

    def failed(self, failure: Failure) -> None:
        self._failed.append(failure)
        self._news.set()

    async def run(self) -> None:
        """Until `stop`. Never cancel it: what is being committed would be forgotten."""
        while not self._stopping:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            if not await self.flush() and not self._stopping:
                self._news.set()
                await asyncio.sleep(AGAIN_S)
        await self.flush()

    def stop(self) -> None:
        """Lets `run` return after one more flush."""
        self._stopping = True
        self._news.set()

    async def flush(self) -> bool:
        """Commits what there is; False when something has to wait for the next time."""
        confirmed, self._confirmed = self._confirmed, []
        failed, self._failed = self._failed, []
        done = True
        for start in range(0, len(confirmed), ROWS):
            attempts = confirmed[start : start + ROWS]
            if await self._committed(store.confirm(self._db, attempts)):
                crash.point("callback.committed")
            else:
                self._confirmed.extend(attempts)
                done = False
        for start in range(0, len(failed), ROWS):
            failures = failed[start : start + ROWS]
            if await self._committed(store.fail(self._db, self._holder, failures)):
                self._on_due(min((f.pause_s for f in failures if f.pause_s is not None), default=3600.0))
            else:
                self._failed.extend(failures)
                done = False
        return done

    async def _committed(self, statement: Coroutine[Any, Any, None]) -> bool:
        try:
            await statement
        except (Unavailable, asyncpg.PostgresError) as error:
            waiting = len(self._confirmed) + len(self._failed)
            log.warning("callback_outcomes_wait", error=type(error).__name__, waiting=waiting)
            return False
        return True
