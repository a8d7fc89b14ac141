"""Which connections are this node's: leases taken, renewed, given up, and lost.

A lease lasts LEASE_S by the database's time. Whoever holds it stops writing MARGIN_S before that by a clock of his own,
counted from before the statement that renewed it, so that he is silent before another node begins.
"""

import asyncio
import contextlib
import math
import time
import uuid
from collections.abc import Awaitable, Callable

import asyncpg
import structlog

from pombo.errors import Unavailable, why
from pombo.store import leases
from pombo.store.database import Database

log = structlog.get_logger()

LEASE_S = 10.0
MARGIN_S = 5.0
_RENEW_PART = 0.2  # of a lease: when it is renewed
_LOOK_PART = 0.1  # of a lease: when free connections are looked for, as the net under wake-ups
_BALANCE_LEASES = (
    6  # so many leases after the last change, a node with more than its share gives one connection up
)

# Not time.monotonic, which stands still while the machine sleeps; nor the loop's, which a frozen process finds as it was.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    return time.clock_gettime(_CLOCK)


class Lease:
    """This node's right to write to one connection, under one epoch."""

    __slots__ = ("_margin_s", "ends_at", "epoch")

    def __init__(self, epoch: int, ends_at: float, margin_s: float = MARGIN_S) -> None:
        """ends_at: by `now_s`."""
        self.epoch = epoch
        self.ends_at = ends_at
        self._margin_s = margin_s

    def may_write(self) -> bool:
        """Whether octets that cause a submit may go out now. Ask right before each write."""
        return now_s() < self.ends_at - self._margin_s


class Owner:
    """`start`, then `owned` is kept up to date; `retire`, `release` each, `stop`."""

    def __init__(
        self,
        db: Database,
        holder: uuid.UUID,
        *,
        gained: Callable[[list[int]], Awaitable[None]],
        lost: Callable[[list[int]], None],
        give_up: Callable[[int], Awaitable[None]],
        served: Callable[[int], bool],
        lease_s: float = LEASE_S,
        margin_s: float = MARGIN_S,
    ) -> None:
        """gained, lost: told after `owned` has changed; who lost a connection writes no more and closes it at once.
        give_up: a connection that another node is to have: `release` it once it is unbound.
        served: whether a connection has a session that has not ended yet, from before maybe.
        """
        self.owned: dict[int, Lease] = {}
        self._db = db
        self._holder = holder
        self._gained = gained
        self._lost = lost
        self._give_up = give_up
        self._served = served
        self._lease_s = lease_s
        self._margin_s = margin_s
        self._nodes = 1
        self._free_since: dict[int, float] = {}
        self._changed_at = now_s()
        self._news = asyncio.Event()
        self._retired = False
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Takes back what this holder had, and its share of what is free. Raises Unavailable."""
        await self._look(first=True)
        self._looking = asyncio.create_task(self._forever(self._look_now_and_then), name="lease look")
        self._tasks = [
            asyncio.create_task(self._forever(self._renew_now_and_then), name="lease renew"),
            asyncio.create_task(self._forever(self._watch), name="lease watch"),
        ]

    def look(self) -> None:
        """Something has changed: there may be a free connection."""
        self._news.set()

    async def retire(self) -> None:
        """Take no more. What is owned is renewed until it is released."""
        self._retired = True
        self._news.set()
        if self._looking is not None:
            # A lease that is being taken at this moment is to be known, so that it can be released.
            await asyncio.wait({self._looking}, timeout=self._lease_s)
            self._looking.cancel()

    async def release(self, smsc_id: int) -> None:
        """Another node may have it at once. Nothing, where it is not owned."""
        lease = self.owned.pop(smsc_id, None)
        if lease is None:
            return
        try:
            await leases.release(self._db, smsc_id, self._holder, lease.epoch)
        except (Unavailable, asyncpg.PostgresError) as error:  # then it runs out
            log.warning("lease_not_released", smsc_id=smsc_id, error=type(error).__name__)

    async def stop(self) -> None:
        """Releases what is left."""
        await self.retire()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for smsc_id in list(self.owned):
            await self.release(smsc_id)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while not (self._retired and step == self._look_now_and_then):
            try:
                await step()
            except (Unavailable, asyncpg.PostgresError) as error:
                log.warning("leases_wait", step=step.__name__, error=why(error))
                await asyncio.sleep(self._lease_s * _LOOK_PART)
            except Exception:  # a fault of ours: the other steps go on, and so does this one
                log.exception("leases_failed", step=step.__name__)
                await asyncio.sleep(1)

    async def _renew_now_and_then(self) -> None:
        await asyncio.sleep(self._lease_s * _RENEW_PART)
        await self._renew()

    async def _renew(self) -> None:
        held = dict(self.owned)
        if not held:
            return
        asked_at = now_s()
        pairs = [(smsc_id, lease.epoch) for smsc_id, lease in held.items()]
        renewed = await leases.renew(self._db, self._holder, pairs, self._lease_s)
        for smsc_id, lease in held.items():
            if smsc_id in renewed:
                lease.ends_at = asked_at + self._lease_s
        self._lose([i for i, lease in held.items() if i not in renewed and self.owned.get(i) is lease])

    async def _watch(self) -> None:
        """A lease that could not be renewed ends, unless there was nobody who could have taken it: then the session is
        kept, and nothing is written until the database is back."""
        await asyncio.sleep(self._lease_s * _LOOK_PART / 2)
        now = now_s()
        if self._nodes > 1:
            self._lose([smsc_id for smsc_id, lease in self.owned.items() if lease.ends_at <= now])

    def _lose(self, smsc_ids: list[int]) -> None:
        if not smsc_ids:
            return
        for smsc_id in smsc_ids:
            del self.owned[smsc_id]
        log.warning("leases_lost", smsc_ids=smsc_ids, hint="this node did not reach the database in time")
        self._changed_at = now_s()
        self._lost(smsc_ids)

    async def _look_now_and_then(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lease_s * _LOOK_PART):
                await self._news.wait()
        self._news.clear()
        if not self._retired:
            await self._look()

    async def _look(self, *, first: bool = False) -> None:
        """Take what is free: up to this node's share at once, more than that if nobody else does for a while."""
        standings = await leases.standings(self._db, self._holder)
        nodes = standings[0].nodes if standings else self._nodes
        if nodes != self._nodes:
            self._nodes, self._changed_at = nodes, now_s()
        share = math.ceil(len(standings) / max(1, nodes))
        now = now_s()
        mine = {standing.smsc_id for standing in standings if first and standing.mine}
        free = mine | {standing.smsc_id for standing in standings if standing.free}
        self._free_since = {i: self._free_since.get(i, now) for i in free - self.owned.keys()}
        gained = []
        for smsc_id, since in sorted(self._free_since.items()):
            others_turn = len(self.owned) >= share and now < since + self._lease_s * _LOOK_PART
            if (smsc_id in mine or not others_turn) and not self._served(smsc_id):
                gained += await self._take(smsc_id)
        for gone in self.owned.keys() - {standing.smsc_id for standing in standings}:
            if not self._served(gone):  # removed, and left
                del self.owned[gone]
        if gained:
            self._changed_at = now_s()
            await self._gained(gained)
        elif len(self.owned) > share and not free:
            await self._balance()

    async def _take(self, smsc_id: int) -> list[int]:
        asked_at = now_s()
        try:
            taken = await leases.take(self._db, smsc_id, self._holder, self._lease_s)
        except asyncpg.LockNotAvailableError:
            log.info("lease_take_waits", smsc_id=smsc_id)
            return []
        if taken is None:
            return []
        self.owned[smsc_id] = Lease(taken.epoch, asked_at + self._lease_s, self._margin_s)
        log.info("lease_taken", smsc_id=smsc_id, epoch=taken.epoch)
        if taken.uncertain:
            log.warning("recovered_uncertain", smsc_id=smsc_id, messages=taken.uncertain)
        return [smsc_id]

    async def _balance(self) -> None:
        """One at a time, and only while nothing else changes: a connection that moves is unbound for a moment."""
        if now_s() > self._changed_at + _BALANCE_LEASES * self._lease_s:
            self._changed_at = now_s()
            await self._give_up(max(self.owned))
