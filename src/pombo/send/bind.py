"""One session of a link: bind, serve, leave, close the books.

The order of things keeps messages safe. A claim commits its rows as being written before any octet goes out; what
the operator answers is committed before its place in the window is free for good; a deliver_sm is answered after
its commit. What a broken session leaves open becomes uncertain and goes by the connection's policy.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from pombo import crash
from pombo.errors import PomboError, Unavailable
from pombo.send import tls
from pombo.send.doors import Doors
from pombo.send.flow import Flow
from pombo.send.settlement import Incoming, Settlement
from pombo.send.submit import Submitting
from pombo.send.waiting import wait
from pombo.send.wire import Wire
from pombo.smpp import pdu
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
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.smpp.session import Session
from pombo.smpp.states import Role, State
from pombo.smpp.status import Status, status_name
from pombo.store import sessions

log = structlog.get_logger()

_CONNECT_S = 10.0
_GATHER_S = 0.02  # what is to be committed gathers so long at the most, or until it is half a window
_QUIET_S = 0.003  # ... or nothing more has come for so long: an operator may wait for our answers
_RETRY_S = 1.0  # while the database is away
_DRAIN_S = 10.0  # a stop waits so long for responses
_UNBIND_S = 5.0
_DELIVERIES_MOST = 1000  # more deliver_sm than this waiting for their commit, and reading pauses


class Bind:
    """One session of a link, from connecting to the last commit."""

    def __init__(
        self,
        kind: type[pdu.Bind],
        flow: Flow,
        doors: Doors,
        incoming: Incoming,
        stopping: asyncio.Event,
        stands: Callable[["Bind", bool], None],
    ) -> None:
        """stands: told when the operator has taken the bind, and when it is no more."""
        self.bound_for_s: float | None = None  # None: it never was
        self.submits = kind is not pdu.BindReceiver
        self._kind = kind
        self._flow = flow
        self._smsc = smsc = flow.smsc  # what the session is made with
        self._doors = doors
        self._incoming = incoming
        self._stopping = stopping
        self._stands = stands
        self._log = log.bind(smsc=smsc.name)
        self._loop = asyncio.get_running_loop()
        self._session = Session(
            Role.ESME, now=self._loop.time(), window=smsc.window_size,
            enquire_every_s=smsc.enquire_link_s, response_timeout_s=smsc.response_timeout_s,
        )  # fmt: skip
        self._wire = Wire(self._session, self._on_events)
        self._bound: asyncio.Future[int | None] = (
            self._loop.create_future()
        )  # command_status; None: closed before
        self._session_id = 0
        self._room_changed = asyncio.Event()
        self._over = False
        self._notices: Counter[str] = Counter()
        self._ending = "the connection was lost"

    async def serve(self) -> int | None:
        """Until the session ends; returns the command_status of a refused bind."""
        await self._connect()
        try:
            # Whatever comes in after the bind must have a place to be stored.
            session_id = await sessions.begin_session(
                self._doors.db, self._smsc.id, self._doors.holder, self._flow.lease.epoch
            )
            if session_id is None:
                raise PomboError("another node owns this connection now")
            self._session_id = session_id
            self._doors.live_sessions.add(self._session_id)
            self._settlement = Settlement(
                self._doors.db, self._flow, self._session_id, self._incoming,
                holder=self._doors.callback_holder, notify=self._doors.notify, elsewhere=self._doors.elsewhere,
                queued=self._doors.queued,
            )  # fmt: skip
            self._submitting = Submitting(
                self._flow, self._doors, self._session_id,
                self._session, self._wire, self._settlement, self._room_changed,
            )  # fmt: skip
            self._flow.sessions.append(self._submitting)
            status = await self._bind()
            if status == Status.ESME_ROK:
                bound_at = self._loop.time()
                self._stands(self, True)
                try:
                    await sessions.note_bound(self._doors.db, self._session_id)
                    await self._serve_bound()
                finally:
                    self._stands(self, False)
                    self.bound_for_s = self._loop.time() - bound_at
                return None
            if status is not None:
                self._log.error(
                    "bind_refused",
                    status=status_name(status),
                    host=self._smsc.host,
                    command=self._kind.command,
                )
            elif not self._stopping.is_set():
                self._log.warning("bind_unanswered", reason=self._ending, host=self._smsc.host)
            return status
        finally:
            self._wire.close()
            self._wire.abort()
            await self._wire.closed.wait()
            if self._session_id:
                try:
                    await self._close_books()
                finally:
                    self._flow.sessions.remove(self._submitting)
                    self._doors.live_sessions.discard(self._session_id)

    def abandon(self) -> None:
        """Close the socket at once."""
        self._ending = "another node takes this connection over"
        self._wire.abort()

    async def _connect(self) -> None:
        """Raises OSError, or TimeoutError also when we are to stop: nobody need wait for a host that is silent."""
        connecting = asyncio.create_task(
            self._loop.create_connection(
                lambda: self._wire,
                self._smsc.host,
                self._smsc.port,
                ssl=tls.context(self._smsc),
                server_hostname=tls.server_name(self._smsc),
            )
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
        body = self._kind(
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
        self._log.info(
            "bound", session=self._session_id, command=self._kind.command, window=self._smsc.window_size
        )
        submitting = asyncio.create_task(self._submitting.run())
        settling = asyncio.create_task(self._settle_results())
        answering = asyncio.create_task(self._settle_deliveries())
        ended = asyncio.create_task(self._wire.closed.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            everything: list[asyncio.Task[Any]] = [submitting, settling, answering, ended, stopping]
            await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and not ended.done():
                await self._leave(submitting)
        finally:
            # Neither is cancelled: a claim or a commit under way would be lost to us, and count as uncertain.
            self._over = True
            self._submitting.end()
            self._settlement.results_came.set()
            self._settlement.deliveries_came.set()
            ended.cancel()
            stopping.cancel()
            results = await asyncio.gather(submitting, settling, answering, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _leave(self, submitting: "asyncio.Task[None]") -> None:
        """A planned end: nothing new goes out, responses are waited for, then we unbind."""
        self._submitting.end()
        await asyncio.wait({submitting}, timeout=_DRAIN_S)
        self._submitting.give_back()  # now, not after the unbind: for who takes over, and sends it at once
        deadline = self._loop.time() + _DRAIN_S
        while self._submitting.in_flight and not self._wire.closed.is_set() and self._loop.time() < deadline:
            await wait(self._room_changed, deadline - self._loop.time())
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
        self._submitting.give_back()
        left_at = self._loop.time()
        given_up_at = left_at + _DRAIN_S
        while True:
            try:
                await self._settle()
                async with self._flow.settling:
                    crash.point("session.before_end")
                    uncertain = await sessions.end_sessions(
                        self._doors.db, [self._session_id], self._loop.time() - left_at
                    )
                    crash.point("session.ended")
                break
            except (Unavailable, asyncpg.PostgresError) as error:
                if self._stopping.is_set() and self._loop.time() > given_up_at:
                    hint = "upkeep or the next start recovers it"
                    self._log.error(
                        "session_left_open", session=self._session_id, hint=hint, error=type(error).__name__
                    )
                    return
                await asyncio.sleep(_RETRY_S)
        uncertain += self._submitting.uncertain
        if self.bound_for_s is not None:
            planned = self._stopping.is_set() and not uncertain
            self._log.log(
                logging.INFO if planned else logging.WARNING,
                "session_ended",
                session=self._session_id,
                reason=self._ending,
                uncertain=uncertain,
            )
        self._flow.work.set()

    # What the operator says

    def _on_events(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Answered():
                    self._submitting.answered(event.token, event.status, event.body)
                case Requested() if isinstance(event.body, DeliverSm | DataSm):
                    self._delivered(event.body, event.sequence_number)
                case Unanswered():
                    self._submitting.unanswered(event.token)
                case LateAnswer():
                    self._submitting.answered_late(event.token, event.status, event.body)
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
        if self._session_id:
            self._submitting.write_waiting()
        self._room_changed.set()

    def _noticed(self, notice: Notice) -> None:
        """The 1st, 10th, 100th, … of a kind: a peer that repeats itself must not fill the disk."""
        self._notices[notice.text] += 1
        times = self._notices[notice.text]
        if str(times).strip("0") == "1":
            self._log.info(
                "smpp_notice", text=notice.text, command=notice.command_id, status=notice.status, times=times
            )

    def _delivered(self, body: DeliverSm | DataSm, sequence_number: int) -> None:
        self._settlement.delivery(body, sequence_number)
        if self._settlement.deliveries > _DELIVERIES_MOST:
            self._wire.pause_reading()

    # Settling

    async def _settle_results(self) -> None:
        settlement = self._settlement
        while not self._over:
            await self._gather(settlement.results_came, lambda: settlement.results)
            try:
                await settlement.commit_results()
                self._submitting.write_waiting()  # two windows may have been full
                self._room_changed.set()
            except Unavailable:
                await asyncio.sleep(_RETRY_S)

    async def _settle_deliveries(self) -> None:
        settlement = self._settlement
        while not self._over:
            await self._gather(settlement.deliveries_came, lambda: settlement.deliveries)
            try:
                await self._settle()
                self._submitting.write_waiting()
            except Unavailable:
                await asyncio.sleep(_RETRY_S)

    async def _gather(self, came: asyncio.Event, waiting: Callable[[], int]) -> None:
        """Until there is enough for a commit, which costs much the same for one as for fifty."""
        if not waiting():
            came.clear()
            await came.wait()
        until = self._loop.time() + _GATHER_S
        before, now = 0, waiting()
        while before < now < self._smsc.window_size // 2 and self._loop.time() < until and not self._over:
            await asyncio.sleep(_QUIET_S)
            before, now = now, waiting()

    async def _settle(self) -> None:
        """Commit all that has gathered, then answer what was waiting for that."""
        answers = await self._settlement.commit(self._flow.open_numbers)
        for delivery, status in answers:
            response = delivery.body.response
            assert response is not None
            self._session.respond(delivery.sequence_number, response(), status)
        self._wire.flush()
        if answers:
            crash.point("deliver.answered")
        self._wire.resume_reading()
        self._room_changed.set()
