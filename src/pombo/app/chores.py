"""What a node that sends does now and then, and how anything is done now and then."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from pombo.app import windows
from pombo.errors import Unavailable, why
from pombo.inbound.replies import Replies
from pombo.receipt import match
from pombo.store import endings, outbox, queue, receipts
from pombo.store.callbacks import Job
from pombo.store.database import Connection, Database
from pombo.store.ids import EPOCH_MS, ID_BITS_BELOW_MS
from pombo.store.smscs import Smsc

log = structlog.get_logger()

_EXPIRE_PAGE = 1000
_EXPIRE_REST = (
    50  # times as long as a look took: with a million messages that wait for longer, one reads them all
)


class Chores:
    """Sweeps over what no link looks after.

    receipts: by connection; the node adds and removes. smscs: all there are, as last read. notify: callbacks that were
    committed, leased to callback_holder.
    """

    def __init__(
        self,
        db: Database,
        callback_holder: uuid.UUID | None,
        receipts: Mapping[int, match.Receipts],
        replies: Replies,
        smscs: Callable[[], Sequence[Smsc]],
        notify: Callable[[list[Job]], None],
    ) -> None:
        self._db = db
        self._callback_holder = callback_holder
        self._receipts = receipts
        self._replies = replies
        self._smscs = smscs
        self._notify = notify
        self._expire_at = 0.0  # by time.monotonic

    async def sweep(self) -> None:
        """Each step by itself: one that fails every time must not keep the others from their turn."""
        for smsc_id, of_one in list(self._receipts.items()):
            await self._step(f"receipts of connection {smsc_id}", of_one.sweep, endings.ended)
        await self._step("replies", self._replies.sweep, outbox.of_replies)
        dropped = await receipts.drop_old_parked(self._db)
        if dropped:
            log.warning(
                "parked_receipts_dropped", receipts=dropped, hint="no message had their id within 72 hours"
            )

    async def settle_unanswered(self) -> None:
        for smsc_id, of_one in list(self._receipts.items()):
            step = f"unanswered submits of connection {smsc_id}"
            await self._step(step, of_one.settle_unanswered, endings.ended)

    async def _step(
        self,
        step: str,
        sweep: Callable[[Database, match.Caused], Awaitable[object]],
        write: Callable[[Connection, uuid.UUID | None, list[int]], Awaitable[list[Job]]],
    ) -> None:
        """write: the callbacks of what the sweep caused, in its transaction. What a sweep that fails had committed
        before is delivered when its lease ends."""
        jobs: list[Job] = []

        async def caused(tx: Connection, subjects: list[int]) -> None:
            jobs.extend(await write(tx, self._callback_holder, subjects))

        try:
            await sweep(self._db, caused)
        except Exception as error:
            log.error("sweep_failed", step=step, error=type(error).__name__)
        else:
            self._notify(jobs)

    async def expire(self) -> None:
        """Messages whose validity ends while their connection is down must not wait for it."""
        began = time.monotonic()
        if began < self._expire_at:
            return
        await self._expire_all()
        ended = time.monotonic()
        self._expire_at = ended + _EXPIRE_REST * (ended - began)

    async def _expire_all(self) -> None:
        shortest_s = min((smsc.validity_s for smsc in self._smscs()), default=0)
        before_id = (int((time.time() - shortest_s) * 1000) - EPOCH_MS) << ID_BITS_BELOW_MS
        while before_id > 0:
            async with self._db.transaction() as tx:
                final = await queue.expire(tx, before_id, _EXPIRE_PAGE)
                jobs = await endings.ended(tx, self._callback_holder, final)
            self._notify(jobs)
            if len(final) < _EXPIRE_PAGE:
                return

    async def put_off(self) -> None:
        """What marketing still waits when its window closes."""
        messages = await windows.put_off(self._db)
        if messages:
            log.info("messages_put_off", messages=messages)


async def every(pause_s: float, act: Callable[[], Awaitable[None]]) -> None:
    """Again and again, whatever happens: a database that is away now is asked again later."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            await act()
        except Unavailable as error:
            log.warning("upkeep_waits", step=act.__qualname__, error=why(error))
        except Exception:  # a fault of ours in one step must not end it for good
            log.exception("upkeep_failed", step=act.__qualname__)
