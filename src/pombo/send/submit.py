"""Claims and submits of one session, and what becomes of each.

A claim commits its rows as being written before any octet goes out, and takes no more than the window has room for; from
an operator that answers a full window at once, also what the next two will have room for.
"""

import asyncio
import contextlib
from collections import deque
from datetime import UTC, datetime

import structlog

from pombo import crash
from pombo.errors import Unavailable
from pombo.message import AttemptState
from pombo.send.doors import Doors
from pombo.send.flow import Flow
from pombo.send.outgoing import Outgoing, Part
from pombo.send.settlement import Settlement
from pombo.send.turn import Taken
from pombo.send.verdict import verdict_of
from pombo.send.waiting import wait
from pombo.send.wire import Wire
from pombo.smpp.fields import EncodeError
from pombo.smpp.pdu import Body, SubmitSm, SubmitSmResp
from pombo.smpp.session import Session
from pombo.smpp.states import State
from pombo.smpp.status import Status
from pombo.store import queue
from pombo.store.queue import Claimed

log = structlog.get_logger()

_GATHER_S = 0.01  # places in the window come together for so long before a claim
_APART_S = (
    0.02  # messages that come one by one come together for so long, and so do their results and receipts
)
_AT_ONCE_S = 0.025  # who answers a full window in this time has two claimed ahead, behind which a code waits
_POLL_S = 1.0  # the net under wake-ups


class Submitting:
    """What a session has claimed and not yet submitted, and what is in flight."""

    def __init__(
        self,
        flow: Flow,
        doors: Doors,
        session_id: int,
        session: Session,
        wire: Wire,
        settlement: Settlement,
        room_changed: asyncio.Event,
    ) -> None:
        """room_changed: set when the window may have places again."""
        self.in_flight: set[Part] = set()
        self.uncertain = 0  # messages with a submit that was never answered
        self._unanswered = 0
        self._flow = flow
        self._window_size = flow.smsc.window_size  # this session's, whatever is configured now
        self._doors = doors
        self._session_id = session_id
        self._session = session
        self._wire = wire
        self._settlement = settlement
        self._room_changed = room_changed
        self._log = log.bind(smsc=flow.smsc.name)
        self._loop = asyncio.get_running_loop()
        self._claimed: deque[Claimed] = deque()  # and nothing done with it yet
        self._unwritten: deque[tuple[Part, SubmitSm]] = deque()
        self._full_at: float | None = None  # monotonic, since when the window is full
        self._answered_at_once = False  # was the last one that was full
        self._claim_in_doubt = False
        self._ended = asyncio.Event()

    def end(self) -> None:
        """`run` returns soon: claim no more."""
        self._ended.set()
        self._room_changed.set()
        self._flow.work.set()  # it wakes this one, and what it leaves another claims

    @property
    def open_numbers(self) -> set[int]:
        """Handsets with a submit whose outcome is not known, or not committed."""
        return {part.message.claimed.number for part in self.in_flight} | self._settlement.numbers

    async def run(self) -> None:
        if self._session.state is State.BOUND_RX:  # it may not submit
            await self._ended.wait()
        while not self._ended.is_set():
            room = self._claimable()
            if room < 1 or not self._flow.lease.may_write():
                self.write_waiting()
                await wait(self._room_changed, _POLL_S)
                continue
            if room < self._window_size // 4:
                # Claims cost a commit each: let a few places come together, but not wait for a silent operator.
                await wait(self._room_changed, _GATHER_S)
            if not self._flow.work.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await self._flow.work.wait()
            if not self._flow.turns.full:
                # The first one after a while goes at once.
                await asyncio.sleep(self._flow.claimed_at + _APART_S - self._loop.time())
            async with self._flow.turn:
                pause_s = await self._take_turn()
            if pause_s:
                await wait(self._room_changed, min(pause_s, _POLL_S))

    async def _take_turn(self) -> float:
        """Claim what the window has room for and the pace allows, and write it; returns how long to wait then."""
        flow, now = self._flow, self._loop.time()
        room = self._claimable()
        if self._ended.is_set() or room < 1 or not flow.lease.may_write():
            return 0.0
        if not flow.work.is_set() and now - flow.claimed_at < _POLL_S / 2:  # another one has just looked
            return 0.0
        allowance = flow.pace.allowance(now)
        if allowance == 0:
            return flow.pace.delay_s()
        wanted = room if allowance is None else min(room, allowance)
        flow.work.clear()
        flow.claimed_at = now
        taken = await self._claim(wanted)
        if taken is None:
            flow.work.set()
            return _POLL_S
        self._claimed += taken.claimed
        if self._ended.is_set():  # while the claim was under way: what it got is given back
            return 0.0
        if flow.turns.full:  # the next claim begins first
            self._loop.call_soon(self.write_waiting)
        else:
            self.write_waiting()
        if taken.again_s is None:
            return 0.0
        flow.work.set()
        return taken.again_s

    async def _claim(self, wanted: int) -> Taken | None:
        """Messages for so many parts; None while the database is away. A claim whose answer is lost may have been
        committed: it is taken back first."""
        try:
            if self._claim_in_doubt:
                self._prepare_claimed()
                known = {part.message.claimed.message_id for part in self.in_flight}
                known |= {part.message.claimed.message_id for part, _ in self._unwritten}
                await queue.take_back(
                    self._doors.db, self._session_id, list(known | self._settlement.message_ids)
                )
                self._claim_in_doubt = False
            self._claim_in_doubt = True
            taken = await self._flow.turns.claim(self._doors.db, self._session_id, wanted, self._loop.time())
            self._claim_in_doubt = False
            if taken.claimed:
                crash.point("claim.committed")
            return taken
        except Unavailable:
            return None

    def _prepare_claimed(self) -> None:
        while self._claimed:
            self._prepare(Outgoing(self._claimed.popleft()))

    def _prepare(self, outgoing: Outgoing) -> None:
        if outgoing.claimed.expired:
            outgoing.expire()
            self._settlement.outcome(None, outgoing)
            return
        if outgoing.claimed.closed:
            outgoing.put_off()
            self._settlement.outcome(None, outgoing)
            return
        try:
            smsc = self._flow.smsc
            source = self._doors.source_of(outgoing.claimed.account_id) or self._flow.source
            submits = outgoing.submits(smsc, source)
        except Exception:  # a fault of ours: it must not stop the messages behind it
            self._log.exception("message_cannot_be_submitted", message_id=outgoing.claimed.message_id)
            outgoing.error = Status.ESME_RINVMSGLEN
            self._settlement.outcome(None, outgoing)
            return
        self._unwritten.extend(submits)
        if not submits:
            self._settlement.outcome(None, outgoing)

    def write_waiting(self) -> None:
        """Submit what is claimed, as far as the window has room; one socket write for all of it."""
        self._prepare_claimed()
        if not self._unwritten or not self._flow.lease.may_write():
            return
        now, at = self._loop.time(), datetime.now(UTC)
        written, room = 0, self._room()
        while self._unwritten and written < room:
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
                row = part.message.answered(part, Status.ESME_RINVPARLEN, "final", None, None)
                self._settlement.outcome(row, part.message)
                continue
            self.in_flight.add(part)
            written += 1
        if written:
            self._flow.pace.took(written, now)
            self._flow.tally.submitted += written
            self._wire.flush()
            if self._session.room == 0:
                self._full_at = now
            crash.point("submit.written")

    def give_back(self) -> None:
        """Nothing more is written: what was claimed and is not written yet waits again."""
        self._prepare_claimed()
        while self._unwritten:
            self._never_written(self._unwritten.popleft()[0])

    def _never_written(self, part: Part) -> None:
        part.message.unwritten()
        self._settlement.outcome(None, part.message)

    def _room(self) -> int:
        """Places for submits: in flight and answered but not committed are never more than two windows."""
        uncommitted = self._settlement.uncommitted
        return min(self._session.room, 2 * self._window_size - self._session.in_flight - uncommitted)

    def _claimable(self) -> int:
        """Places that nothing is claimed for yet. What is claimed ahead was never sent, so that nobody gets it twice after
        a crash; but it is uncertain then, and where a person has to decide about that, it counts among the two windows."""
        claimed = len(self._unwritten) + sum(message.parts for message in self._claimed)
        if not self._answered_at_once or not self._flow.turns.full or self._flow.pace.rate_per_s is not None:
            return 0 if claimed else self._room()
        most = 2 * self._window_size
        if self._flow.smsc.uncertain_policy == "hold":
            most -= self._session.in_flight + self._settlement.uncommitted
        ahead = min(self._window_size, most - claimed)
        if ahead >= self._window_size // 2:
            return ahead
        return 0 if claimed else self._room()

    # What the operator says

    def answered(self, part: Part, status: int, body: Body | None) -> None:
        self.in_flight.discard(part)
        if self._full_at is not None and self._session.room > self._window_size // 2:
            self._answered_at_once = self._loop.time() - self._full_at < _AT_ONCE_S
            self._full_at = None
        raw_id, key = self._id(body)
        verdict = verdict_of(status, self._flow.smsc.verdicts) if status else "final"
        if status and verdict == "throttling":
            self._flow.pace.throttled(self._loop.time())
            self._flow.tally.throttled += 1
        if status != Status.ESME_ROK:
            self._flow.tally.refuse(status)
        self._settlement.outcome(part.message.answered(part, status, verdict, raw_id, key), part.message)

    def unanswered(self, part: Part) -> None:
        self.in_flight.discard(part)
        self._flow.tally.unanswered += 1
        if self._session.state is not State.CLOSED:
            self._unanswered += 1
            if str(self._unanswered).strip("0") == "1":  # an operator that hangs must not fill the disk
                message_id = part.message.claimed.message_id
                self._log.warning("submit_unanswered", message_id=message_id, times=self._unanswered)
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
