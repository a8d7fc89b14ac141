"""One session of a link: bind, claim, submit, settle.

The order of things keeps messages safe. A claim commits its rows as being written before any octet goes out; what
the operator answers is committed before its place in the window is free for good; a deliver_sm is answered after
its commit. What a broken session leaves open becomes uncertain and goes by the connection's policy.
"""

import asyncio
import contextlib
import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog

from pombo.errors import PomboError, Unavailable
from pombo.message import AttemptState
from pombo.send.outgoing import Outgoing, Part
from pombo.send.pace import Pace
from pombo.send.settlement import Incoming, Settlement
from pombo.send.verdict import THROTTLING
from pombo.send.wire import Wire
from pombo.smpp.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    Event,
    LateAnswer,
    Notice,
    Requested,
    Unanswered,
)
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import BindTransceiver, Body, DataSm, DeliverSm, SubmitSm, SubmitSmResp
from pombo.smpp.session import Session
from pombo.smpp.states import Role, State
from pombo.smpp.status import Status, status_name
from pombo.store import queue
from pombo.store.callbacks import Job
from pombo.store.database import Database
from pombo.store.smscs import Smsc

log = structlog.get_logger()

_CONNECT_S = 10.0
_GATHER_S = 0.01  # outcomes gather this long, or until half a window of them is there
_POLL_S = 1.0  # the net under wake-ups
_DRAIN_S = 10.0  # a stop waits so long for responses
_UNBIND_S = 5.0
_DELIVERIES_MOST = 1000  # more deliver_sm than this waiting for their commit, and reading pauses


class Doors:
    """What a link is given from outside its stage."""

    def __init__(
        self,
        *,
        db: Database,
        holder: uuid.UUID,
        unseal: Callable[[bytes], bytes],
        incoming: Callable[[Smsc], Incoming],
        read_id: Callable[[bytes], tuple[str, str]],
        notify: Callable[[list[Job]], None],
        live_sessions: set[int],
    ) -> None:
        """read_id: a message_id's octets as (id as the operator wrote it, canonical key).
        live_sessions: kept up to date with the sessions that are being served."""
        self.db = db
        self.holder = holder
        self.unseal = unseal
        self.incoming = incoming
        self.read_id = read_id
        self.notify = notify
        self.live_sessions = live_sessions


class Bind:
    """One session of a link, from connecting to the last commit."""

    def __init__(
        self, smsc: Smsc, doors: Doors, incoming: Incoming, work: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        self.bound_for_s: float | None = None  # None: it never was
        self._smsc = smsc
        self._doors = doors
        self._incoming = incoming
        self._work = work
        self._stopping = stopping
        self._log = log.bind(smsc=smsc.name)
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._session = Session(Role.ESME, now=now, window=smsc.window_size)
        self._wire = Wire(self._session, self._on_events)
        self._pace = Pace(smsc.rate_per_s, now)
        self._bound: asyncio.Future[int | None] = (
            self._loop.create_future()
        )  # command_status; None: closed before
        self._settlement: Settlement | None = None
        self._session_id = 0
        self._unwritten: deque[tuple[Part, SubmitSm]] = deque()
        self._in_flight: set[Part] = set()
        self._room_changed = asyncio.Event()
        self._unsettled = asyncio.Event()
        self._settling = asyncio.Lock()
        self._over = False
        self._claim_in_doubt = False
        self._notices: Counter[str] = Counter()
        self._uncertain = 0  # messages with a submit that was never answered
        self._ending = "the connection was lost"

    async def serve(self) -> int | None:
        """Until the session ends; returns the command_status of a refused bind."""
        await self._connect()
        try:
            # Whatever comes in from the first octet on must have a place to be stored.
            self._session_id = await queue.begin_session(self._doors.db, self._smsc.id, self._doors.holder)
            self._doors.live_sessions.add(self._session_id)
            self._settlement = Settlement(
                self._doors.db, self._smsc, self._session_id, self._incoming,
                holder=self._doors.holder, notify=self._doors.notify,
            )  # fmt: skip
            status = await self._bind()
            if status == Status.ESME_ROK:
                bound_at = self._loop.time()
                await queue.note_bound(self._doors.db, self._session_id)
                try:
                    await self._serve_bound()
                finally:
                    self.bound_for_s = self._loop.time() - bound_at
                return None
            if status is not None:
                self._log.error("bind_refused", status=status_name(status), host=self._smsc.host)
            elif not self._stopping.is_set():
                self._log.warning("bind_unanswered", reason=self._ending, host=self._smsc.host)
            return status
        finally:
            self._wire.close()
            self._wire.abort()
            await self._wire.closed.wait()
            if self._settlement is not None:
                try:
                    await self._close_books()
                finally:
                    self._doors.live_sessions.discard(self._session_id)

    async def _connect(self) -> None:
        """Raises OSError, or TimeoutError also when we are to stop: nobody need wait for a host that is silent."""
        connecting = asyncio.create_task(
            self._loop.create_connection(lambda: self._wire, self._smsc.host, self._smsc.port)
        )
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            either: list[asyncio.Task[Any]] = [connecting, stopping]
            await asyncio.wait(either, timeout=_CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise TimeoutError("no connection in time")
            await connecting
        finally:
            stopping.cancel()
            connecting.cancel()

    async def _bind(self) -> int | None:
        """The command_status of the answer; None when none came."""
        if self._wire.closed.is_set():  # taken and dropped at once: we are at the wrong door
            return None
        body = BindTransceiver(
            system_id=self._smsc.system_id.encode("latin-1", "replace"),
            password=self._doors.unseal(self._smsc.password_sealed),
            system_type=self._smsc.system_type.encode("latin-1", "replace"),
        )
        try:
            self._session.request(body, self._loop.time())
        except EncodeError as error:
            raise PomboError(f"connection {self._smsc.name}: {error}") from None
        self._wire.flush()
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            either: list[asyncio.Future[Any]] = [self._bound, stopping]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        return self._bound.result() if self._bound.done() else None

    async def _serve_bound(self) -> None:
        self._log.info("bound", session=self._session_id, window=self._smsc.window_size)
        submitting = asyncio.create_task(self._submit_loop())
        settling = asyncio.create_task(self._settle_loop())
        ended = asyncio.create_task(self._wire.closed.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            everything: list[asyncio.Task[Any]] = [submitting, settling, ended, stopping]
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and not ended.done():
                await self._leave(submitting)
        finally:
            # Neither is cancelled: a claim or a commit under way would be lost to us, and count as uncertain.
            self._over = True
            for event in (self._work, self._room_changed, self._unsettled):
                event.set()
            ended.cancel()
            stopping.cancel()
            results = await asyncio.gather(submitting, settling, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _leave(self, submitting: "asyncio.Task[None]") -> None:
        """A planned end: nothing new goes out, responses are waited for, then we unbind."""
        self._work.set()
        self._room_changed.set()
        await asyncio.wait({submitting}, timeout=_DRAIN_S)
        deadline = self._loop.time() + _DRAIN_S
        while self._in_flight and not self._wire.closed.is_set() and self._loop.time() < deadline:
            await self._wait(self._room_changed, deadline - self._loop.time())
        with contextlib.suppress(Unavailable):
            await self._settle()
        self._session.unbind(self._loop.time())
        self._wire.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNBIND_S):
                await self._wire.closed.wait()

    async def _close_books(self) -> None:
        """Commit what is known; the rest is uncertain. Waits for the database, unless we are stopping: then the next
        start does it."""
        while self._unwritten:
            part, _ = self._unwritten.popleft()
            part.message.unwritten()
            self._outcome(None, part)
        given_up_at = self._loop.time() + _DRAIN_S
        while True:
            try:
                await self._settle()
                uncertain = await queue.end_sessions(self._doors.db, [self._session_id])
                break
            except (Unavailable, asyncpg.PostgresError) as error:
                if self._stopping.is_set() and self._loop.time() > given_up_at:
                    hint = "upkeep or the next start recovers it"
                    self._log.error(
                        "session_left_open", session=self._session_id, hint=hint, error=type(error).__name__
                    )
                    return
                await asyncio.sleep(_POLL_S)
        uncertain += self._uncertain
        if self.bound_for_s is not None:
            planned = self._stopping.is_set() and not uncertain
            self._log.log(
                logging.INFO if planned else logging.WARNING,
                "session_ended",
                session=self._session_id,
                reason=self._ending,
                uncertain=uncertain,
            )
        self._work.set()

    # Submitting

    async def _submit_loop(self) -> None:
        while not (self._over or self._stopping.is_set()):
            self._write_waiting()
            room = self._room()
            allowance = self._pace.allowance(self._loop.time())
            if allowance is not None and allowance < 1:
                await asyncio.sleep(self._pace.delay_s())
                continue
            if self._unwritten or room < 1:
                await self._wait(self._room_changed, _POLL_S)
                continue
            if room < self._smsc.window_size // 4:
                # Claims cost a commit each: let a few places come together, but not wait for a silent operator.
                await self._wait(self._room_changed, _GATHER_S)
                room = self._room()
            self._work.clear()
            wanted = max(1, room if allowance is None else min(room, allowance))
            claimed = await self._claim(wanted)
            for message in claimed:
                self._prepare(Outgoing(message))
            self._write_waiting()
            if not (claimed and claimed[0].more) and sum(message.parts for message in claimed) < wanted:
                await self._wait(self._work, _POLL_S)

    async def _claim(self, wanted: int) -> list[queue.Claimed]:
        """Messages for so many parts. A claim whose answer is lost may have been committed: it is taken back first."""
        try:
            if self._claim_in_doubt:
                known = {part.message.claimed.message_id for part in self._in_flight}
                known |= {part.message.claimed.message_id for part, _ in self._unwritten}
                assert self._settlement is not None
                await queue.take_back(
                    self._doors.db, self._session_id, list(known | self._settlement.message_ids)
                )
                self._claim_in_doubt = False
            self._claim_in_doubt = True
            claimed = await queue.claim(self._doors.db, self._smsc.id, self._session_id, wanted)
            self._claim_in_doubt = False
            return claimed
        except Unavailable:
            await asyncio.sleep(_POLL_S)
            return []

    def _prepare(self, outgoing: Outgoing) -> None:
        if outgoing.claimed.expired:
            outgoing.expire()
            self._finished(outgoing)
            return
        try:
            submits = outgoing.submits(self._smsc)
        except Exception:  # a fault of ours: it must not stop the messages behind it
            self._log.exception("message_cannot_be_submitted", message_id=outgoing.claimed.message_id)
            outgoing.error = Status.ESME_RINVMSGLEN
            self._finished(outgoing)
            return
        self._unwritten.extend(submits)
        if not submits:
            self._finished(outgoing)

    def _write_waiting(self) -> None:
        """Submit what is claimed, as far as the window has room; one socket write for all of it."""
        now, at = self._loop.time(), datetime.now(UTC)
        written = 0
        while self._unwritten and self._room() > 0:
            part, body = self._unwritten.popleft()
            if part.message.error is not None:  # another part was refused for good
                part.message.unwritten()
                self._outcome(None, part)
                continue
            part.submitted_at = at
            try:
                self._session.request(body, now, part)
            except EncodeError as error:
                self._log.error(
                    "submit_cannot_be_encoded", message_id=part.message.claimed.message_id, error=str(error)
                )
                self._outcome(part.message.answered(part, Status.ESME_RINVPARLEN, None, None), part)
                continue
            self._in_flight.add(part)
            written += 1
        if written:
            self._pace.took(written, now)
            self._wire.flush()

    def _room(self) -> int:
        assert self._settlement is not None
        uncommitted = self._settlement.uncommitted
        return min(self._session.room, 2 * self._smsc.window_size - self._session.in_flight - uncommitted)

    @staticmethod
    async def _wait(event: asyncio.Event, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await event.wait()
        event.clear()

    # What the operator says

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Answered():
                    self._answered(event.token, event.status, event.body)
                case Requested() if isinstance(event.body, DeliverSm | DataSm):
                    self._delivered(event.body, event.sequence_number)
                case Unanswered():
                    self._unanswered(event.token)
                case LateAnswer():
                    self._answered_late(event.token, event.status, event.body)
                case Bound():
                    self._bound.set_result(int(Status.ESME_ROK))
                case BindRefused():
                    self._bound.set_result(event.status)
                case Closed():
                    self._ending = event.reason
                    self._wire.close()
                case Notice():
                    self._noticed(event)
                case _:
                    pass  # outbind, alert_notification: nothing to do
        if self._session.state is State.CLOSED and not self._bound.done():
            self._bound.set_result(None)
        self._room_changed.set()

    def _noticed(self, notice: Notice) -> None:
        """The 1st, 10th, 100th, … of a kind: a peer that repeats itself must not fill the disk."""
        self._notices[notice.text] += 1
        times = self._notices[notice.text]
        if str(times).strip("0") == "1":
            self._log.info(
                "smpp_notice", text=notice.text, command=notice.command_id, status=notice.status, times=times
            )

    def _answered(self, part: Part, status: int, body: Body | None) -> None:
        self._in_flight.discard(part)
        raw_id, key = self._id(body)
        if status in THROTTLING:
            self._pace.throttled(self._loop.time())
        self._outcome(part.message.answered(part, status, raw_id, key), part)

    def _unanswered(self, part: Part) -> None:
        self._in_flight.discard(part)
        if self._session.state is not State.CLOSED:
            self._log.warning("submit_unanswered", message_id=part.message.claimed.message_id)
        self._uncertain += not part.message.uncertain
        self._outcome(part.message.unanswered(part), part)

    def _answered_late(self, part: Part, status: int, body: Body | None) -> None:
        assert self._settlement is not None
        raw_id, key = self._id(body)
        state = AttemptState.TAKEN if status == Status.ESME_ROK else AttemptState.REFUSED
        self._settlement.late(part.message.row(part, state, status, raw_id, key))
        self._unsettled.set()

    def _id(self, body: Body | None) -> tuple[str | None, str | None]:
        if not isinstance(body, SubmitSmResp) or not body.message_id:
            return None, None
        return self._doors.read_id(body.message_id)

    def _delivered(self, body: DeliverSm | DataSm, sequence_number: int) -> None:
        assert self._settlement is not None
        self._settlement.delivery(body, sequence_number)
        self._unsettled.set()
        if self._settlement.size > _DELIVERIES_MOST + 2 * self._smsc.window_size:
            self._wire.pause_reading()

    def _outcome(self, row: queue.Attempt | None, part: Part) -> None:
        assert self._settlement is not None
        self._settlement.outcome(row, part.message)
        self._unsettled.set()

    def _finished(self, outgoing: Outgoing) -> None:
        assert self._settlement is not None
        self._settlement.outcome(None, outgoing)
        self._unsettled.set()

    # Settling

    async def _settle_loop(self) -> None:
        assert self._settlement is not None
        while not self._over:
            if not self._settlement.size:
                self._unsettled.clear()
                await self._unsettled.wait()
                # Under load a commit takes what gathered during the one before it; the first one waits for company.
                if self._settlement.size < self._smsc.window_size // 2:
                    await asyncio.sleep(_GATHER_S)
            try:
                await self._settle()
            except Unavailable:
                await asyncio.sleep(_POLL_S)

    async def _settle(self) -> None:
        """Commit what has gathered, then answer what was waiting for that. One commit at a time."""
        settlement = self._settlement
        assert settlement is not None
        async with self._settling:
            if not settlement.size:
                return
            answers = await settlement.commit(self._is_in_flight)
            for delivery, status in answers:
                response = delivery.body.response
                assert response is not None
                self._session.respond(delivery.sequence_number, response(), status)
            self._wire.flush()
            self._wire.resume_reading()
            self._room_changed.set()

    @property
    def waits_for_responses(self) -> bool:
        return bool(self._in_flight)

    def _is_in_flight(self, number: int) -> bool:
        return any(part.message.claimed.number == number for part in self._in_flight)
