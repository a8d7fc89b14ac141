"""Claims and submits of one session, and what becomes of each.

A claim commits its rows as being written before any octet goes out, and takes no more than the window has room for.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime

import structlog

from pombo.errors import Unavailable
from pombo.message import AttemptState
from pombo.send.doors import Doors
from pombo.send.outgoing import Outgoing, Part
from pombo.send.pace import Pace
from pombo.send.settlement import Settlement
from pombo.send.verdict import THROTTLING
from pombo.send.waiting import wait
from pombo.send.wire import Wire
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import Body, SubmitSm, SubmitSmResp
from pombo.smpp.session import Session
from pombo.smpp.states import State
from pombo.smpp.status import Status
from pombo.store import queue
from pombo.store.smscs import Smsc

log = structlog.get_logger()

_GATHER_S = 0.01  # places in the window come together for so long before a claim
_POLL_S = 1.0  # the net under wake-ups


class Submitting:
    """What a session has claimed and not yet submitted, and what is in flight."""

    def __init__(
        self,
        smsc: Smsc,
        doors: Doors,
        session_id: int,
        session: Session,
        wire: Wire,
        settlement: Settlement,
        work: asyncio.Event,
        room_changed: asyncio.Event,
    ) -> None:
        """work: set when messages were queued for this connection.
        room_changed: set when the window may have places again."""
        self.in_flight: set[Part] = set()
        self.uncertain = 0  # messages with a submit that was never answered
        self._smsc = smsc
        self._doors = doors
        self._session_id = session_id
        self._session = session
        self._wire = wire
        self._settlement = settlement
        self._work = work
        self._room_changed = room_changed
        self._log = log.bind(smsc=smsc.name)
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(smsc.rate_per_s, self._loop.time())
        self._unwritten: deque[tuple[Part, SubmitSm]] = deque()
        self._claim_in_doubt = False
        self._over = False

    def end(self) -> None:
        """`run` returns soon: claim no more."""
        self._over = True
        self._work.set()
        self._room_changed.set()

    def is_in_flight(self, number: int) -> bool:
        """Whether a submit to this handset has no response yet."""
        return any(part.message.claimed.number == number for part in self.in_flight)

    async def run(self) -> None:
        while not self._over:
            self._write_waiting()
            room = self._room()
            allowance = self._pace.allowance(self._loop.time())
            if allowance is not None and allowance < 1:
                await asyncio.sleep(self._pace.delay_s())
                continue
            if self._unwritten or room < 1:
                await wait(self._room_changed, _POLL_S)
                continue
            if room < self._smsc.window_size // 4:
                # Claims cost a commit each: let a few places come together, but not wait for a silent operator.
                await wait(self._room_changed, _GATHER_S)
                room = self._room()
            self._work.clear()
            wanted = max(1, room if allowance is None else min(room, allowance))
            claimed = await self._claim(wanted)
            for message in claimed:
                self._prepare(Outgoing(message))
            self._write_waiting()
            if not (claimed and claimed[0].more) and sum(message.parts for message in claimed) < wanted:
                await wait(self._work, _POLL_S)

    async def _claim(self, wanted: int) -> list[queue.Claimed]:
        """Messages for so many parts. A claim whose answer is lost may have been committed: it is taken back first."""
        try:
            if self._claim_in_doubt:
                known = {part.message.claimed.message_id for part in self.in_flight}
                known |= {part.message.claimed.message_id for part, _ in self._unwritten}
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
            self._settlement.outcome(None, outgoing)
            return
        try:
            submits = outgoing.submits(self._smsc)
        except Exception:  # a fault of ours: it must not stop the messages behind it
            self._log.exception("message_cannot_be_submitted", message_id=outgoing.claimed.message_id)
            outgoing.error = Status.ESME_RINVMSGLEN
            self._settlement.outcome(None, outgoing)
            return
        self._unwritten.extend(submits)
        if not submits:
            self._settlement.outcome(None, outgoing)

    def _write_waiting(self) -> None:
        """Submit what is claimed, as far as the window has room; one socket write for all of it."""
        now, at = self._loop.time(), datetime.now(UTC)
        written = 0
        while self._unwritten and self._room() > 0:
            part, body = self._unwritten.popleft()
            if part.message.error is not None:  # another part was refused for good
                self._never_written(part)
                continue
            part.submitted_at = at
            try:
                self._session.request(body, now, part)
            except EncodeError as error:
                self._log.error(
                    "submit_cannot_be_encoded", message_id=part.message.claimed.message_id, error=str(error)
                )
                row = part.message.answered(part, Status.ESME_RINVPARLEN, None, None)
                self._settlement.outcome(row, part.message)
                continue
            self.in_flight.add(part)
            written += 1
        if written:
            self._pace.took(written, now)
            self._wire.flush()

    def give_back(self) -> None:
        """The session is over: what was claimed and never written waits again."""
        while self._unwritten:
            self._never_written(self._unwritten.popleft()[0])

    def _never_written(self, part: Part) -> None:
        part.message.unwritten()
        self._settlement.outcome(None, part.message)

    def _room(self) -> int:
        """Places for submits: in flight and answered but not committed are never more than two windows."""
        uncommitted = self._settlement.uncommitted
        return min(self._session.room, 2 * self._smsc.window_size - self._session.in_flight - uncommitted)

    # What the operator says

    def answered(self, part: Part, status: int, body: Body | None) -> None:
        self.in_flight.discard(part)
        raw_id, key = self._id(body)
        if status in THROTTLING:
            self._pace.throttled(self._loop.time())
        self._settlement.outcome(part.message.answered(part, status, raw_id, key), part.message)

    def unanswered(self, part: Part) -> None:
        self.in_flight.discard(part)
        if self._session.state is not State.CLOSED:
            self._log.warning("submit_unanswered", message_id=part.message.claimed.message_id)
        self.uncertain += not part.message.uncertain
        self._settlement.outcome(part.message.unanswered(part), part.message)

    def answered_late(self, part: Part, status: int, body: Body | None) -> None:
        raw_id, key = self._id(body)
        state = AttemptState.TAKEN if status == Status.ESME_ROK else AttemptState.REFUSED
        self._settlement.late(part.message.row(part, state, status, raw_id, key))

    def _id(self, body: Body | None) -> tuple[str | None, str | None]:
        if not isinstance(body, SubmitSmResp) or not body.message_id:
            return None, None
        return self._doors.read_id(body.message_id)
