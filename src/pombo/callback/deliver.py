"""Calls the customers' URLs: DLR and MO callbacks, at least once, no customer waiting for another.

Endpoints are scheduled, not callbacks (lane.py). A call costs no task and no query: its outcome starts the
lane's next call on the same connection, and is committed in bulk (settle.py).
"""

import asyncio
import contextlib
import random
import ssl
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog

from pombo import crash
from pombo.callback import schedule
from pombo.callback.connection import Answer, Call, Connection
from pombo.callback.dial import DialError, Dialler
from pombo.callback.figures import Cause, Figures, Tally, cause_of
from pombo.callback.lane import BREAK_AFTER_FAILURES, Endpoint, Lane
from pombo.callback.names import Resolve, system_resolve
from pombo.callback.request import attempt, write_request
from pombo.callback.settle import Settlement
from pombo.callback.supply import Supply
from pombo.config import Network
from pombo.errors import Unavailable, why
from pombo.store import callbacks as store
from pombo.store.callbacks import LEASE_S, Attempt, Failure, Job
from pombo.store.database import Db

log = structlog.get_logger()

IN_FLIGHT_TOTAL = 2000  # calls at once over all endpoints: each is a socket
LEASE_MARGIN_S = 5.0  # from the end of an attempt to the commit of its outcome
IDLE_S = 30.0  # a kept-alive connection unused for longer is closed
POLL_PAUSE_S = 0.02  # between two claims, however much there is
RELOAD_S = 10.0
AGED_S = 600.0  # between two searches for callbacks that a dead endpoint has let grow old

PauseS = Callable[[int, float, float | None], float | None]


def _pause_s(attempts: int, age_s: float, retry_after_s: float | None) -> float | None:
    return schedule.pause_s(attempts, age_s, random.random, retry_after_s)


class Deliverer:
    """One per process that has the role. `start`, then `hand_over` what was inserted leased to `holder`."""

    def __init__(
        self,
        db: Db,
        *,
        holder: uuid.UUID,
        unseal: Callable[[bytes], bytes],
        allow: Sequence[Network] = (),
        timeout_s: float = 15.0,
        in_flight: int = 4,
        in_flight_max: int = 32,
        poll_s: float = 1.0,
        pause_s: PauseS = _pause_s,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = system_resolve,
    ) -> None:
        """holder: this node; the same after a restart on the same data directory.

        unseal: opens `endpoint.secret_sealed`. timeout_s: one attempt in all, cut to what a lease allows.
        pause_s: of attempts over, age_s and Retry-After in seconds; None parks. clock: seconds since 1970.
        """
        self._db = db
        self._holder = holder
        self._timeout_s = min(timeout_s, LEASE_S - 2 * LEASE_MARGIN_S)
        self._poll_s = poll_s
        self._pause_s = pause_s
        self._clock = clock
        self._dialler = Dialler(allow=allow, tls=tls or ssl.create_default_context(), resolve=resolve)
        self._settlement = Settlement(db, holder, self._due_in)
        self._supply = Supply(db, holder, unseal, lambda key: Lane(key, in_flight, in_flight_max))
        self._tally = Tally()
        self._parked: Counter[Lane] = Counter()  # at the end of their schedule, since it was last logged
        self._calls: set[Call] = set()
        self._line: deque[Lane] = deque()  # lanes that wait for one of the shared places, in turn
        self._hungry: set[Lane] = set()  # lanes whose rows wait in the table
        self._news = asyncio.Event()  # the table is to be asked
        self._all_due = False  # ... for every lane
        self._poll_all_at = 0.0  # loop time
        self._changed = asyncio.Event()  # the endpoints are to be read again
        self._drained = asyncio.Event()  # while stopping: nothing is in flight any more
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._settling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Takes back what this node had leased when it ended, and begins. Raises Unavailable."""
        self._loop = asyncio.get_running_loop()
        await store.release(self._db, self._holder)
        await self._supply.reload(self._loop.time())
        self._settling = asyncio.create_task(self._settlement.run())
        for step in (self._poll, self._reload, self._watch, self._park_aged):
            self._tasks.append(asyncio.create_task(self._forever(step)))
        self.wake()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Begins no more calls, waits grace_s for those in flight, commits outcomes, gives back the rest."""
        self._stopping = True
        if self._calls:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._drained.wait()
        for task in self._tasks:
            task.cancel()
        dialling = [call.dialling for call in self._calls if call.dialling]
        for task in dialling:
            task.cancel()
        await asyncio.gather(*self._tasks, *dialling, return_exceptions=True)
        for call in self._calls:
            if call.connection:
                call.connection.close()
        self._calls.clear()
        for lane in self._supply.lanes.values():
            lane.close_idle(float("inf"))
        self._dialler.close()
        if self._settling:
            self._settlement.stop()
            await self._settling
        try:
            await store.release(self._db, self._holder)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("callback_leases_left", error=type(error).__name__)

    def hand_over(self, jobs: Sequence[Job]) -> None:
        """Takes callbacks just committed with a lease of LEASE_S to this node. Never waits, never raises.

        Memory is bounded: what finds no room is given back to the table and claimed from it later.
        """
        if self._stopping:
            return  # `stop` gives the leases back
        for lane in self._supply.take(jobs, self._expires()):
            self._pump(lane)
        if self._supply.reload_wanted:
            self._changed.set()

    def wake(self) -> None:
        """There may be due callbacks in the table."""
        self._all_due = True
        self._news.set()

    def endpoints_changed(self) -> None:
        """Rows of `endpoint` have changed."""
        self._changed.set()

    def figures(self) -> Figures:
        lanes = [lane for lane in self._supply.lanes.values() if lane.endpoint is not None]
        return Figures(
            attempts={cause: self._tally.attempts[cause] for cause in Cause},
            duration_s=self._tally.duration_s,
            in_flight=len(self._calls),
            waiting=sum(lane.waiting for lane in lanes),
            broken=sum(lane.broken for lane in lanes),
            endpoints=len(lanes),
        )

    # Loops

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except (Unavailable, asyncpg.PostgresError) as error:
                log.warning("callbacks_wait_for_database", step=step.__name__, error=why(error))
                await asyncio.sleep(1)
            except (
                Exception
            ) as error:  # a fault of ours must not end the stage; without its text: it may quote data
                log.error("callbacks_failed", step=step.__name__, error=type(error).__name__)
                await asyncio.sleep(1)

    async def _poll(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._poll_all_at):
                await self._news.wait()
        every = self._all_due or self._loop.time() >= self._poll_all_at
        if every:
            self._poll_all_at = self._loop.time() + self._poll_s
        self._news.clear()
        self._all_due = False
        lanes = list(self._supply.lanes.values() if every else self._hungry)
        self._hungry.clear()
        touched, gone = await self._supply.claim(lanes, self._expires())
        for callback_id in gone:
            self._settlement.failed(Failure(callback_id, None, None, "message no longer kept", None))
        for lane in touched:
            self._pump(lane)
        await asyncio.sleep(POLL_PAUSE_S)

    async def _reload(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELOAD_S):
                await self._changed.wait()
        self._changed.clear()
        now = self._loop.time()
        await self._supply.reload(now)
        for lane in self._supply.lanes.values():
            lane.close_idle(now - IDLE_S)
        for lane, count in self._parked.items():
            log.warning(
                "callbacks_parked", **lane.named(), host=lane.host, count=count, reason="24 hours over"
            )
        self._parked.clear()
        self.wake()

    async def _watch(self) -> None:
        """Ends calls whose time is over. One look at all of them is cheaper than a timer for each."""
        await asyncio.sleep(min(0.25, self._timeout_s / 4))
        now = self._loop.time()
        for call in [call for call in self._calls if call.deadline <= now]:
            if call.connection is not None:
                call.connection.give_up()
            else:
                if call.dialling is not None:
                    call.dialling.cancel()
                self._answered(None, call, Answer(None, "timeout", Cause.TIMEOUT))

    async def _park_aged(self) -> None:
        await asyncio.sleep(AGED_S)
        await self._supply.park_aged()

    # Calls

    def _expires(self) -> float:
        """Loop time from which a lease that begins now is too short for an attempt."""
        return self._loop.time() + LEASE_S - self._timeout_s - LEASE_MARGIN_S

    def _due_in(self, pause_s: float) -> None:
        if pause_s < self._poll_s:
            self._loop.call_later(pause_s, self.wake)

    def _pump(self, lane: Lane) -> None:
        """Starts as many of the lane's calls as have a place."""
        endpoint = lane.endpoint
        if self._stopping or endpoint is None:
            return
        now = self._loop.time()
        while lane.has_next():
            if self._line or len(self._calls) >= IN_FLIGHT_TOTAL:  # whoever stands in line comes first
                self._queue(lane)
                break
            job = lane.next(now)
            if job is not None:
                self._begin(lane, endpoint, job, now)
        self._refill(lane)

    def _queue(self, lane: Lane) -> None:
        if not lane.queued:
            lane.queued = True
            self._line.append(lane)

    def _refill(self, lane: Lane) -> None:
        if lane.more and not lane.broken and lane.room():
            self._hungry.add(lane)
            self._news.set()

    def _begin(self, lane: Lane, endpoint: Endpoint, job: Job, now: float) -> None:
        if endpoint.place is None:
            lane.ended(bool(job.attempts), False, 0.0)
            self._failed(lane, job, Answer(None, endpoint.error))
            return
        call = Call(lane, endpoint, job, self._clock(), now, now + self._timeout_s)
        write_request(call, endpoint, endpoint.place.authority)
        self._calls.add(call)
        connection = lane.connection(now, IDLE_S)
        if connection is not None:
            connection.send(call)
        else:
            self._dial(call)

    def _dial(self, call: Call) -> None:
        call.connection = None
        call.dialling = self._loop.create_task(self._connect(call))

    async def _connect(self, call: Call) -> None:
        place = call.endpoint.place
        assert place is not None
        try:
            connection = await self._dialler.connect(
                place.host, place.port, tls=place.tls, make=lambda: Connection(self._answered)
            )
        except DialError as error:
            call.dialling = None
            call.address = error.address
            if call in self._calls:
                self._answered(None, call, Answer(None, str(error), error.cause))
            return
        call.dialling = None
        if call in self._calls and connection.usable:
            connection.send(call)
        elif call in self._calls:
            self._answered(None, call, Answer(None, "connection closed without an answer"))
        else:
            connection.close()

    def _answered(self, connection: Connection | None, call: Call, answer: Answer) -> None:
        now = self._loop.time()
        if answer.status is None and answer.untouched and now < call.deadline and not self._stopping:
            self._dial(call)  # the receiver ended a kept-alive connection just as we wrote (RFC 9112 §9.5)
            return
        if call not in self._calls:
            return
        self._calls.discard(call)
        lane = call.lane
        status = answer.status
        ok = status == 200 or (call.endpoint.row.any_2xx and status is not None and 200 <= status < 300)
        cause = Cause.CONFIRMED if ok else cause_of(status) if status else answer.cause
        self._tally.count(cause, now - call.started)
        self._log_turn(lane, call, answer, ok)
        was_broken = lane.broken
        lane.ended(bool(call.job.attempts), ok, now - call.started)
        if was_broken and not lane.broken:
            self._supply.recovered(lane, now)
        if ok and status is not None:
            crash.point("callback.answered")
            self._settlement.confirmed(attempt(call, answer, now))
        else:
            self._failed(lane, call.job, answer, attempt(call, answer, now))
        if connection is not None and connection.usable:
            if lane.endpoint is call.endpoint and not self._stopping:
                connection.idle_since = now
                lane.idle.append(connection)
            else:
                connection.close()
        self._pump(lane)
        while self._line and len(self._calls) < IN_FLIGHT_TOTAL:
            first = self._line.popleft()
            first.queued = False
            self._one(first)
        if self._stopping and not self._calls:
            self._drained.set()

    def _one(self, lane: Lane) -> None:
        """Gives a lane that stood in line one place, and sends it to the end of the line."""
        now = self._loop.time()
        job = lane.next(now) if lane.endpoint is not None and not self._stopping else None
        if job is None or lane.endpoint is None:
            return
        self._begin(lane, lane.endpoint, job, now)
        if lane.has_next():
            self._queue(lane)
        self._refill(lane)

    def _failed(self, lane: Lane, job: Job, answer: Answer, made: Attempt | None = None) -> None:
        at = datetime.fromtimestamp(self._clock(), UTC)
        retry_after_s = schedule.read_retry_after_s(answer.retry_after, at)
        pause_s = self._pause_s(job.attempts + 1, job.age_s, retry_after_s)
        error = answer.error or f"HTTP {answer.status}"
        self._settlement.failed(Failure(job.callback_id, pause_s, answer.status, error, made))
        if pause_s is None:
            self._parked[lane] += 1

    def _log_turn(self, lane: Lane, call: Call, answer: Answer, ok: bool) -> None:
        """Says when an endpoint stops answering, and when it is back; single failures stand in the table."""
        if ok and lane.broken:
            log.info("callback_endpoint_answers", **lane.named(), host=call.endpoint.host)
        elif not ok and lane.failures == BREAK_AFTER_FAILURES - 1:
            log.warning(
                "callback_endpoint_fails",
                **lane.named(),
                host=call.endpoint.host,
                error=answer.error or f"HTTP {answer.status}",
                waiting=lane.waiting,
            )
