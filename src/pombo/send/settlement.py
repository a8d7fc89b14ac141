"""What one bind session has learned and not yet committed: outcomes of submits, and deliver_sm to be answered."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

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


class Delivery(NamedTuple):
    """A deliver_sm or data_sm that waits for its answer."""

    body: DeliverSm | DataSm
    session_id: int
    sequence_number: int


class Effects(NamedTuple):
    final: list[int]  # messages that became final
    replies: list[int]  # new in the inbox


class Incoming(Protocol):
    """The receipt and inbound stages, as the connection sees them. All happens in the given transaction."""

    async def new_ids(self, tx: Connection, keys: Sequence[str]) -> list[int]:
        """Operator ids have just been written of which receipts spoke before: what they settle."""
        ...

    async def receive(
        self, tx: Connection, deliveries: Sequence[Delivery], in_flight: Callable[[int], bool]
    ) -> Effects: ...


class _Batch(NamedTuple):
    attempts: list[Attempt]
    late: list[Attempt]
    finished: list[Outgoing]
    deliveries: list[Delivery]

    @property
    def size(self) -> int:
        return len(self.attempts) + len(self.late) + len(self.finished) + len(self.deliveries)

    def join(self, later: "_Batch") -> "_Batch":
        return _Batch(
            self.attempts + later.attempts,
            self.late + later.late,
            self.finished + later.finished,
            self.deliveries + later.deliveries,
        )

    def singly(self) -> list["_Batch"]:
        """The same, in the smallest pieces that stand by themselves: all of one message, or one delivery."""
        of_one: dict[int, _Batch] = {}

        def piece(message_id: int) -> _Batch:
            return of_one.setdefault(message_id, _Batch([], [], [], []))

        for attempt in self.attempts:
            piece(attempt.message_id).attempts.append(attempt)
        for attempt in self.late:
            piece(attempt.message_id).late.append(attempt)
        for outgoing in self.finished:
            piece(outgoing.claimed.message_id).finished.append(outgoing)
        return [*of_one.values(), *(_Batch([], [], [], [delivery]) for delivery in self.deliveries)]


class Settlement:
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
        self.changed = asyncio.Event()  # something has gathered
        self._gathered = _Batch([], [], [], [])
        self._committing = _Batch([], [], [], [])  # what the commit under way holds

    def outcome(self, row: Attempt | None, of: Outgoing) -> None:
        if row is not None:
            self._gathered.attempts.append(row)
        if of.settled:
            self._gathered.finished.append(of)
        self.changed.set()

    def late(self, row: Attempt) -> None:
        """A response to an attempt that was given up as uncertain."""
        self._gathered.late.append(row)
        self.changed.set()

    def delivery(self, body: DeliverSm | DataSm, sequence_number: int) -> None:
        self._gathered.deliveries.append(Delivery(body, self._session_id, sequence_number))
        self.changed.set()

    @property
    def uncommitted(self) -> int:
        """Outcomes known but not committed."""
        return len(self._gathered.attempts) + len(self._committing.attempts)

    @property
    def message_ids(self) -> set[int]:
        """Messages of which something is not committed yet."""
        both = (self._gathered, self._committing)
        ids = {attempt.message_id for batch in both for attempt in batch.attempts}
        return ids | {outgoing.claimed.message_id for batch in both for outgoing in batch.finished}

    def holds(self, number: int) -> bool:
        """Whether the outcome of a submit to this handset is not committed yet."""
        return any(a.number == number for batch in (self._gathered, self._committing) for a in batch.attempts)

    @property
    def size(self) -> int:
        return self._gathered.size

    async def commit(self, in_flight: Callable[[int], bool]) -> list[tuple[Delivery, int]]:
        """Commit what has gathered; returns each delivery with the command_status to answer it with.

        in_flight: whether a submit to this handset has no response yet.
        Raises Unavailable, with everything kept, when the database is not there, or somebody held a lock. What was
        committed all the same changes nothing when it is written again.
        """
        batch, self._gathered = self._gathered, _Batch([], [], [], [])
        self._committing = batch

        def unsettled(number: int) -> bool:
            return in_flight(number) or any(attempt.number == number for attempt in self._gathered.attempts)

        try:
            await self._write(batch, unsettled)
            return [(delivery, Status.ESME_ROK) for delivery in batch.deliveries]
        except (Unavailable, *LOST, *NOT_NOW):
            self._keep(batch)
            raise Unavailable("the settlement was not committed") from None
        except (
            Exception
        ) as error:  # a value the database refuses, or a fault of ours: it must not cost the others
            log.exception(
                "settlement_refused", smsc=self._flow.smsc.name, items=batch.size, error=type(error).__name__
            )
            return await self._write_singly(batch.singly(), unsettled)
        finally:
            self._committing = _Batch([], [], [], [])

    async def _write_singly(
        self, pieces: list[_Batch], in_flight: Callable[[int], bool]
    ) -> list[tuple[Delivery, int]]:
        """A message whose outcome cannot be written stays `writing`, and is uncertain when the session ends."""
        answers: list[tuple[Delivery, int]] = []
        for n, piece in enumerate(pieces):
            status = int(Status.ESME_ROK)
            try:
                await self._write(piece, in_flight)
            except (Unavailable, *LOST, *NOT_NOW):
                # Those before it are answered later, too: a delivery that is stored twice is stored once.
                for again in pieces[n:] + [_Batch([], [], [], [delivery]) for delivery, _ in answers]:
                    self._keep(again)
                raise Unavailable("the settlement was not committed") from None
            except Exception as error:
                log.exception(
                    "settlement_item_refused", smsc=self._flow.smsc.name, error=type(error).__name__
                )
                status = int(Status.ESME_RX_T_APPN)
            answers += [(delivery, status) for delivery in piece.deliveries]
        return answers

    def _keep(self, batch: _Batch) -> None:
        self._gathered = batch.join(self._gathered)

    async def _write(self, batch: _Batch, in_flight: Callable[[int], bool]) -> None:
        async with self._flow.settling, self._db.transaction(queue.lock_of(self._flow.smsc.id)) as tx:
            final, handed_on = await self._write_results(tx, batch)
            replies: list[int] = []
            if batch.deliveries:
                effects = await self._incoming.receive(tx, batch.deliveries, in_flight)
                final += effects.final
                replies = effects.replies
            jobs = await endings.ended(tx, self._holder, final)
            jobs += await outbox.of_replies(tx, self._holder, replies)
            _pass_points(batch, replies, "before_commit")
        _pass_points(batch, replies, "committed")
        if jobs:
            self._notify(jobs)
        if handed_on:
            self._queued(handed_on)

    async def _write_results(self, tx: Connection, batch: _Batch) -> tuple[list[int], set[int]]:
        """Messages that became final, and connections that got some."""
        if not (batch.attempts or batch.late or batch.finished):
            return [], set()
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


def _pass_points(batch: _Batch, replies: Sequence[int], at: str) -> None:
    if batch.attempts:
        crash.point(f"results.{at}")
    if len(batch.deliveries) > len(replies):
        crash.point(f"receipts.{at}")
    if replies:
        crash.point(f"replies.{at}")
