"""What one bind session has learned and not yet committed: outcomes of submits, and deliver_sm to be answered."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from typing import NamedTuple, Protocol, TypeVar

import asyncpg
import structlog

from pombo import crash
from pombo.errors import Unavailable
from pombo.message import AttemptState, State
from pombo.send.elsewhere import Elsewhere, hand_on
from pombo.send.flow import Flow
from pombo.send.outgoing import Outgoing
from pombo.smpp.pdu import DataSm, DeliverSm
from pombo.smpp.status import Status
from pombo.store import endings, outbox, queue
from pombo.store.callbacks import Job
from pombo.store.database import LOST, NOT_NOW, Connection, Database
from pombo.store.queue import Attempt, Ending, Retry

log = structlog.get_logger()

_T = TypeVar("_T")
_AGAIN = (Unavailable, *LOST, *NOT_NOW)  # it can be written once the database is back, or the lock free


class Delivery(NamedTuple):
    """A deliver_sm or data_sm that waits for its answer."""

    body: DeliverSm | DataSm
    session_id: int
    sequence_number: int


class Effects(NamedTuple):
    final: list[int]  # messages that became final
    replies: list[int]  # new in the inbox
    parked: list[str]  # the operator's ids that receipts speak of which no attempt has yet


class Incoming(Protocol):
    """The receipt and inbound stages, as the connection sees them. All happens in the given transaction."""

    async def new_ids(self, tx: Connection, keys: Sequence[str]) -> list[int]:
        """Operator ids have just been written of which receipts spoke before: what they settle."""
        ...

    async def receive(
        self, tx: Connection, deliveries: Sequence[Delivery], in_flight: Callable[[int], bool]
    ) -> Effects: ...


class _Results(NamedTuple):
    attempts: list[Attempt]
    late: list[Attempt]
    finished: list[Outgoing]

    @property
    def size(self) -> int:
        return len(self.attempts) + len(self.late) + len(self.finished)

    @property
    def plain(self) -> bool:
        """Nothing but messages of one part that the operator took."""
        return (
            not self.late
            and all(
                a.state == AttemptState.TAKEN and not a.part_of_many and not a.carried for a in self.attempts
            )
            and all(outgoing.taken_whole for outgoing in self.finished)
        )

    def join(self, later: "_Results") -> "_Results":
        return _Results(
            self.attempts + later.attempts, self.late + later.late, self.finished + later.finished
        )

    def singly(self) -> list["_Results"]:
        """The same, in the smallest pieces that stand by themselves: all of one message."""
        of_one: dict[int, _Results] = {}

        def piece(message_id: int) -> _Results:
            return of_one.setdefault(message_id, _no_results())

        for attempt in self.attempts:
            piece(attempt.message_id).attempts.append(attempt)
        for attempt in self.late:
            piece(attempt.message_id).late.append(attempt)
        for outgoing in self.finished:
            piece(outgoing.claimed.message_id).finished.append(outgoing)
        return list(of_one.values())


def _no_results() -> _Results:
    return _Results([], [], [])


class Settlement:
    """Results are committed while deliveries are: each kind one commit after the other.

    A receipt must not pass the result that it speaks of unseen. So a delivery waits until all results that came before it
    are committed, and whatever matches receipts, or writes more than that messages were taken, has the connection's lock
    to itself (queue.lock_of). Results of the plain kind go without the lock, in one statement: if receipts were parked
    meanwhile, both sides look once more after their commits, and one of the two sees the other.
    """

    def __init__(
        self,
        db: Database,
        flow: Flow,
        session_id: int,
        incoming: Incoming,
        *,
        holder: uuid.UUID | None,
        notify: Callable[[list[Job]], None],
        elsewhere: Elsewhere,
        queued: Callable[[set[int]], None],
    ) -> None:
        """notify: given the callbacks of a commit, after it; they are leased to `holder`.
        queued: given the connections that got messages of this one, after the commit."""
        self._db = db
        self._flow = flow
        self._session_id = session_id
        self._incoming = incoming
        self._holder = holder
        self._notify = notify
        self._elsewhere = elsewhere
        self._queued = queued
        self.results_came = asyncio.Event()
        self.deliveries_came = asyncio.Event()
        self._gathered = _no_results()
        self._committing = _no_results()  # what the commit under way holds
        self._deliveries: list[Delivery] = []
        self._results_turn = asyncio.Lock()
        self._deliveries_turn = asyncio.Lock()

    def outcome(self, row: Attempt | None, of: Outgoing) -> None:
        if row is not None:
            self._gathered.attempts.append(row)
        if of.settled:
            self._gathered.finished.append(of)
        self.results_came.set()

    def late(self, row: Attempt) -> None:
        """A response to an attempt that was given up as uncertain."""
        self._gathered.late.append(row)
        self.results_came.set()

    def delivery(self, body: DeliverSm | DataSm, sequence_number: int) -> None:
        self._deliveries.append(Delivery(body, self._session_id, sequence_number))
        self.deliveries_came.set()

    @property
    def uncommitted(self) -> int:
        """Outcomes known but not committed."""
        return len(self._gathered.attempts) + len(self._committing.attempts)

    @property
    def message_ids(self) -> set[int]:
        """Messages of which something is not committed yet."""
        both = (self._gathered, self._committing)
        ids = {attempt.message_id for results in both for attempt in results.attempts}
        return ids | {outgoing.claimed.message_id for results in both for outgoing in results.finished}

    @property
    def numbers(self) -> set[int]:
        """Handsets with a submit whose outcome is not committed yet."""
        return {a.number for results in (self._gathered, self._committing) for a in results.attempts}

    @property
    def results(self) -> int:
        """That wait for their commit."""
        return self._gathered.size

    @property
    def deliveries(self) -> int:
        """That wait for their commit."""
        return len(self._deliveries)

    async def commit_results(self) -> None:
        """Those that have gathered, once those before them are committed.

        Raises Unavailable, with everything kept, when the database is not there, or somebody held a lock. What was
        committed all the same changes nothing when it is written again.
        """
        async with self._results_turn:
            results, self._gathered = self._gathered, _no_results()
            if not results.size:
                return
            self._committing = results
            try:
                # A message whose outcome cannot be written stays `writing`, and is uncertain when the session ends.
                await self._each_or_all(results, results.singly, self._write)
            except _AGAIN:
                self._gathered = results.join(self._gathered)
                raise Unavailable("the results were not committed") from None
            finally:
                self._committing = _no_results()

    async def commit(self, open_numbers: Callable[[], Container[int]]) -> list[tuple[Delivery, int]]:
        """Commit results, then the deliveries that were there before; returns each of these with the command_status to
        answer it with. Raises as `commit_results`.

        open_numbers: handsets with a submit that has no response, or whose outcome is not committed.
        """
        async with self._deliveries_turn:
            deliveries, self._deliveries = self._deliveries, []
            try:
                await self.commit_results()
                if not deliveries:
                    return []

                async def receive(some: Sequence[Delivery]) -> None:
                    await self._receive(some, open_numbers())

                refused = await self._each_or_all(deliveries, lambda: [[one] for one in deliveries], receive)
            except (Unavailable, *_AGAIN):
                # All of them, also those that are stored: a delivery that is stored twice is stored once.
                self._deliveries = deliveries + self._deliveries
                raise Unavailable("the deliveries were not committed") from None
            refused_ones = {one.sequence_number for piece in refused for one in piece}
            return [
                (one, Status.ESME_RX_T_APPN if one.sequence_number in refused_ones else Status.ESME_ROK)
                for one in deliveries
            ]

    async def _each_or_all(
        self, whole: _T, singly: Callable[[], list[_T]], write: Callable[[_T], Awaitable[None]]
    ) -> list[_T]:
        """Write it; where the database refuses a value, or by a fault of ours: piece by piece, so that it does not cost
        the others. Returns the pieces that cannot be written."""
        try:
            await write(whole)
            return []
        except _AGAIN:
            raise
        except Exception as error:
            log.exception("settlement_refused", smsc=self._flow.smsc.name, error=type(error).__name__)
        refused = []
        for piece in singly():
            try:
                await write(piece)
            except _AGAIN:
                raise
            except Exception as error:
                log.exception(
                    "settlement_item_refused", smsc=self._flow.smsc.name, error=type(error).__name__
                )
                refused.append(piece)
        return refused

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection]:
        """A transaction that has the results and receipts of the connection to itself."""
        async with self._flow.settling, self._db.transaction(queue.lock_of(self._flow.smsc.id)) as tx:
            yield tx

    async def _write(self, results: _Results) -> None:
        if results.plain and self._flow.lease.may_write():
            await self._write_plain(results)
            return
        async with self._alone() as tx:
            final, handed_on = await self._write_results(tx, results)
            jobs = await endings.ended(tx, self._holder, final)
            if results.attempts:
                crash.point("results.before_commit")
        if results.attempts:
            crash.point("results.committed")
        self._tell(jobs)
        if handed_on:
            self._queued(handed_on)

    async def _write_plain(self, results: _Results) -> None:
        parked_before = self._flow.parked
        done = [outgoing.claimed.message_id for outgoing in results.finished]
        if results.attempts:
            crash.point("results.before_commit")
        these = (self._db, self._flow.smsc.id, self._session_id, results.attempts, done)
        try:
            early = await queue.commit_results(*these, plain=True)
        except asyncpg.UniqueViolationError:  # stored already: the answer to that COMMIT was lost
            early = await queue.commit_results(*these)
        if results.attempts:
            crash.point("results.committed")
        if early or self._flow.parked != parked_before:
            await self._look_again([a.smsc_key for a in results.attempts if a.smsc_key])

    async def _receive(self, deliveries: Sequence[Delivery], open_numbers: Container[int]) -> None:
        """open_numbers: as they were before the first statement: what is committed meanwhile may not be seen by it."""
        async with self._alone() as tx:
            effects = await self._incoming.receive(tx, deliveries, open_numbers.__contains__)
            jobs = await endings.ended(tx, self._holder, effects.final)
            jobs += await outbox.of_replies(tx, self._holder, effects.replies)
            _pass_points(deliveries, effects.replies, "before_commit")
        _pass_points(deliveries, effects.replies, "committed")
        self._tell(jobs)
        if effects.parked:
            self._flow.parked += len(effects.parked)
            await self._look_again(effects.parked)

    async def _look_again(self, keys: Sequence[str]) -> None:
        """For parked receipts that speak of these ids."""
        async with self._alone() as tx:
            jobs = await endings.ended(tx, self._holder, await self._incoming.new_ids(tx, keys))
        self._tell(jobs)

    def _tell(self, jobs: list[Job]) -> None:
        if jobs:
            self._notify(jobs)

    async def _write_results(self, tx: Connection, batch: _Results) -> tuple[list[int], set[int]]:
        """Messages that became final, and connections that got some."""
        done, retries, held, endings = self._sorted(batch.finished)
        # A response may come late in the very batch that gave its attempt up: the last word on an attempt counts.
        attempts = list({(a.message_id, a.part, a.n): a for a in [*batch.attempts, *batch.late]}.values())
        early = await queue.commit_results(tx, self._flow.smsc.id, self._session_id, attempts, done)
        taken = [a for a in attempts if a.state == AttemptState.TAKEN]
        parts = [(a.message_id, a.bits) for a in taken if a.part_of_many]
        parts += [
            (a.message_id, a.bits) for a in batch.late if a.state == AttemptState.TAKEN and not a.part_of_many
        ]
        await self._write_carried(tx, attempts)  # of messages: they are locked before their queue rows
        if parts:
            await queue.note_parts_taken(tx, parts)
        if batch.late:
            await queue.drop_taken(tx, [a.message_id for a in batch.late])
            await queue.release_refused(
                tx, [a.message_id for a in batch.late if a.state == AttemptState.REFUSED]
            )
        handed_on = await hand_on(tx, self._flow.smsc, batch.finished, self._elsewhere)
        if retries:
            await queue.retry(tx, retries)
        if held:
            await queue.hold(tx, held)
        final = await queue.finish(tx, endings) if endings else []
        if early:
            final += await self._incoming.new_ids(tx, [a.smsc_key for a in attempts if a.smsc_key])
        return final, handed_on

    @staticmethod
    async def _write_carried(tx: Connection, attempts: Sequence[Attempt]) -> None:
        """Whose receipt speaks for which parts (`message_payload`)."""
        carried = [
            (a.message_id, a.carried) for a in attempts if a.carried and a.state != AttemptState.REFUSED
        ]
        if carried:
            await queue.note_carried(tx, carried)
        alone = [
            (a.message_id, a.part)
            for a in attempts
            if a.n > 1 and a.part > 1 and a.state == AttemptState.TAKEN
        ]
        if alone:
            await queue.note_not_carried(tx, alone)

    def _sorted(
        self, finished: Sequence[Outgoing]
    ) -> tuple[list[int], list[Retry], list[tuple[int, int]], list[Ending]]:
        done, retries, held, endings = [], [], [], []
        for outgoing in finished:
            message_id = outgoing.claimed.message_id
            if outgoing.expired:
                endings.append(Ending(message_id, outgoing.claimed.claim, int(State.EXPIRED), "EXPIRED"))
            elif outgoing.error is not None:
                endings.append(
                    Ending(message_id, outgoing.claimed.claim, int(State.REJECTED), outgoing.error_name)
                )
            elif outgoing.uncertain and self._flow.smsc.uncertain_policy == "hold":
                held.append((message_id, outgoing.claimed.claim))
            elif outgoing.uncertain or outgoing.retry_delay_s is not None:
                delay_s = outgoing.retry_delay_s or 0.0
                retries.append(
                    Retry(message_id, outgoing.claimed.claim, delay_s, outgoing.uncounted, outgoing.taken)
                )
            else:
                done.append(message_id)
        return done, retries, held, endings


def _pass_points(deliveries: Sequence[Delivery], replies: Sequence[int], at: str) -> None:
    if len(deliveries) > len(replies):
        crash.point(f"receipts.{at}")
    if replies:
        crash.point(f"replies.{at}")
