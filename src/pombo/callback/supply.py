"""Where the lanes come from, and their work where it was not handed over in memory.

The table is asked for overflow, retries, and what a dead node had leased.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence

import structlog

from pombo.callback.lane import PROBE_ROWS, Lane, endpoint
from pombo.callback.schedule import LIMIT_S
from pombo.store import callbacks as store
from pombo.store.callbacks import Job, Room
from pombo.store.database import Db

log = structlog.get_logger()

MEMORY_JOBS = 100_000  # over all lanes, hand-over and claims together
LANE_JOBS = 10_000  # in one lane
LANE_JOBS_MIN = 64  # what a lane may hold however full the others are
CLAIMED_JOBS = 20_000  # in one claim


class Supply:
    def __init__(
        self,
        db: Db,
        holder: uuid.UUID,
        unseal: Callable[[bytes], bytes],
        new_lane: Callable[[tuple[int, int]], Lane],
    ) -> None:
        self._db = db
        self._holder = holder
        self._unseal = unseal
        self._new_lane = new_lane
        self._overflow: list[int] = []
        self._lane_jobs = LANE_JOBS
        self.lanes: dict[tuple[int, int], Lane] = {}
        self.reload_wanted = False

    def take(self, jobs: Iterable[Job], expires: float) -> set[Lane]:
        """Puts handed-over jobs into their lanes, as far as there is room; returns the lanes that got any.

        What finds no room is given back to the table; a dead endpoint's is left to the end of its lease, unless it
        answers before (`recovered`).
        """
        touched: set[Lane] = set()
        for job in jobs:
            lane = self.lanes.get((job.account_id, job.kind))
            if lane is None or lane.endpoint is None:  # registered a moment ago
                self.reload_wanted = True
                self._overflow.append(job.callback_id)
            elif lane.waiting < (PROBE_ROWS if lane.broken else self._lane_jobs):
                lane.add(job, expires)
                touched.add(lane)
            else:
                lane.more = True
                if lane.broken:
                    lane.left.append((expires, job.callback_id))
                else:
                    self._overflow.append(job.callback_id)
        return touched

    def recovered(self, lane: Lane, now: float) -> None:
        """It is not broken any more: what was left to its leases need not wait for their end."""
        self._overflow.extend(callback_id for expires, callback_id in lane.left if now < expires)
        lane.left.clear()

    async def release_overflow(self) -> None:
        if self._overflow:
            ids, self._overflow = self._overflow, []
            await store.release_rows(self._db, self._holder, ids)

    async def claim(self, lanes: Sequence[Lane], expires: float) -> tuple[set[Lane], list[int]]:
        """Asks the table for what these lanes have room for.

        Returns the lanes that got any, and the ids of rows whose message or reply is no longer kept.
        """
        await self.release_overflow()
        asked = self._rooms(lanes)
        if not asked:
            return set(), []
        jobs, gone = await store.claim(self._db, self._holder, list(asked.values()))
        got: dict[Lane, int] = {}
        for job in jobs:
            lane = self.lanes.get((job.account_id, job.kind))
            if lane is None or lane.endpoint is None:  # removed while the statement ran
                self._overflow.append(job.callback_id)
                continue
            lane.add(job, expires)
            got[lane] = got.get(lane, 0) + 1
        for lane, room in asked.items():
            lane.more = got.get(lane, 0) >= room.places
        return set(got), gone

    def _rooms(self, lanes: Sequence[Lane]) -> dict[Lane, Room]:
        """Shares what memory has left: half for lanes known to have more in the table, half for others."""
        waiting = [lane.waiting for lane in self.lanes.values()]
        busy = sum(1 for count in waiting if count)
        self._lane_jobs = max(LANE_JOBS_MIN, min(LANE_JOBS, MEMORY_JOBS // (1 + busy)))
        budget = min(CLAIMED_JOBS, MEMORY_JOBS - sum(waiting))
        rooms: dict[Lane, Room] = {}
        hungry = [lane for lane in lanes if lane.more]
        for group in (hungry, [lane for lane in lanes if not lane.more]):
            share = max(1, budget // (2 * len(group))) if group else 0
            for lane in group:
                places = min(lane.room(), share)
                if places > 0:
                    rooms[lane] = Room(*lane.key, places)
        return rooms

    async def reload(self, now: float) -> None:
        """Reads the endpoints again, and parks what waits for one that is gone. now: loop time."""
        self.reload_wanted = False
        rows = {(row.account_id, row.kind): row for row in await store.endpoints(self._db)}
        for key, row in rows.items():
            lane = self.lanes.get(key)
            if lane is None:
                lane = self.lanes[key] = self._new_lane(key)
            if lane.endpoint is None or lane.endpoint.row != row:
                lane.endpoint = endpoint(row, self._unseal)
                lane.failures = 0  # a changed URL starts afresh
                self.recovered(lane, now)
                lane.more = True
                lane.close_idle(float("inf"))
                if lane.endpoint.error:
                    log.warning("callback_endpoint_unusable", **lane.named(), error=lane.endpoint.error)
        for key in self.lanes.keys() - rows.keys():
            self._drop(self.lanes[key])
        await self.release_overflow()
        closed = await store.close_orphans(self._db)
        if closed:
            log.warning("callbacks_without_url", count=closed)

    def _drop(self, lane: Lane) -> None:
        lane.endpoint = None
        lane.close_idle(float("inf"))
        self._overflow.extend(job.callback_id for line in (lane.fresh, lane.again) for _, job in line)
        lane.fresh.clear()
        lane.again.clear()
        if not lane.in_flight:
            del self.lanes[lane.key]

    async def park_aged(self) -> None:
        """Parks what has waited too long for endpoints that are dead."""
        for lane in [lane for lane in self.lanes.values() if lane.broken]:
            count = await store.park_aged(self._db, *lane.key, LIMIT_S)
            if count:
                log.warning(
                    "callbacks_parked", **lane.named(), host=lane.host, count=count, reason="never called"
                )
